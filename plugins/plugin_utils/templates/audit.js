/* Copyright: (c) 2026, the workload_identity.aws authors
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The script of the access report. It reads the JSON in the page, and sends no requests.
 * Text is only inserted as text nodes, never as HTML.
 */
(async () => {
  "use strict";

  // Large data is a string: the JSON, compressed with gzip, in base64.
  async function readData(id) {
    const data = JSON.parse(document.getElementById(id).textContent);
    if (typeof data !== "string") return data;
    const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  }

  const report = await readData("data");
  const {clusters, policies, roles, profiles, workloads, risks} = report;
  const unreadClusters = clusters.filter((cluster) => cluster.error).map((cluster) => cluster.key);
  const byId = (id) => document.getElementById(id);

  // ---------------------------------------------------------------- text and elements

  // Show control characters, bidirectional marks and unusual spaces as escapes, so that a name cannot look like another one.
  const HIDDEN = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;
  const visible = (text) =>
    String(text).replace(HIDDEN, (character) => {
      const code = character.codePointAt(0);
      const hex = code.toString(16);
      return code < 256
        ? "\\x" + hex.padStart(2, "0")
        : code < 65536
          ? "\\u" + hex.padStart(4, "0")
          : "\\U" + hex.padStart(8, "0");
    });

  // Create an element. "text" and children are inserted as text; keys with a dash are attributes.
  function element(tag, properties, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(properties || {})) {
      if (value === undefined || value === null || value === false) continue;
      if (name === "class") node.className = value;
      else if (name === "text") node.textContent = visible(value);
      else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (name.includes("-") || name === "role") node.setAttribute(name, visible(value));
      else node[name] = value;
    }
    append(node, children);
    return node;
  }
  function append(node, children) {
    for (const child of children.flat(Infinity)) {
      if (child === null || child === undefined || child === false || child === "") continue;
      node.append(child instanceof Node ? child : visible(child));
    }
    return node;
  }
  const isolated = (text) => element("bdi", {text});
  const number = (count) => count.toLocaleString("en-US");
  const readableTime = (text) => {
    const time = new Date(text);
    return Number.isNaN(time.getTime()) ? text : time.toISOString().slice(0, 16).replace("T", " ") + " UTC";
  };
  const plural = (count, noun) => number(count) + " " + noun + (count === 1 ? "" : "s");
  const joined = (words, last) =>
    words.length < 2 ? words.join("") : words.slice(0, -1).join(", ") + " " + (last || "and") + " " + words[words.length - 1];

  // Return a list that shows its first rows, and further ones after a click.
  function longList(rows, make, step) {
    const list = element("ul", {class: "rows"});
    const size = step || 50;
    let shown = 0;
    const more = element("button", {type: "button", class: "more", onclick: () => extend()});
    const box = element("div", {}, list, more);
    function extend() {
      const first = shown;
      for (const row of rows.slice(shown, shown + size)) list.append(make(row));
      shown = Math.min(rows.length, shown + size);
      more.hidden = shown === rows.length;
      more.textContent = "Show " + Math.min(size, rows.length - shown) + " more of " + number(rows.length - shown);
      if (first) {
        const target = list.children[first].querySelector("a, summary, button");
        if (target) target.focus();
      }
    }
    extend();
    return box;
  }

  // ---------------------------------------------------------------- workloads, services, levels

  const LEVELS = ["Permissions management", "Write", "Tagging", "Read", "List", "Unknown"];
  const LETTERS = {"Permissions management": "P", Write: "W", Tagging: "T", Read: "R", List: "L", Unknown: "U"};
  const RANKS = {P: 5, W: 4, T: 3, R: 2, L: 1, U: 0};
  const LEVEL_WORDS = {P: "permissions management", W: "write", T: "tagging", R: "read", L: "list", U: "access of unknown level"};
  const SOURCES = {
    pod_identity: "Pod Identity",
    irsa: "IRSA",
    web_identity: "web identity",
    keys: "access keys",
    container: "container endpoint",
    node: "node role",
  };
  const SEVERITIES = ["high", "medium", "low"];
  const OTHER = "*";

  const shortName = (w) => w.namespace + "/" + w.service_account;
  const workloadName = (w) => (clusters.length > 1 ? clusters[w.cluster].key + " " : "") + shortName(w);
  const serviceTitle = (service) => (service === OTHER ? "every other service" : report.services[service] || service);
  const winningCredential = (w) => (w.credentials || []).find((credential) => credential.wins);
  const profileOf = (w) => (w.profile === undefined || w.profile === null ? null : profiles[w.profile]);

  const workloadRisks = workloads.map(() => []);
  risks.forEach((risk, index) => risk.workloads.forEach((w) => workloadRisks[w].push(index)));
  const worstRisk = (index) =>
    SEVERITIES.find((severity) => workloadRisks[index].some((risk) => risks[risk].severity === severity));

  const profileCells = profiles.map((profile) => new Map(profile.cells.map((cell) => [cell.service, cell])));
  function cellOf(w, service) {
    if (w.profile === undefined || w.profile === null) return null;
    const cells = profileCells[w.profile];
    return cells.get(service) || (service === OTHER ? null : cells.get(OTHER)) || null;
  }
  const services = (() => {
    const names = new Set();
    for (const cells of profileCells) for (const name of cells.keys()) names.add(name);
    const other = names.delete(OTHER);
    return [...names].sort().concat(other ? [OTHER] : []);
  })();

  // The services of the matrix. If there are many, it has columns for the most important ones, and one for the highest level of the
  // rest. A service is important if many workloads have access to it whose policies name few services.
  const REST = "rest",
    MAX_COLUMNS = 30,
    MIN_COLUMNS = 10;
  const narrowServices = new Set(
    profiles
      .filter((profile) => profile.cells.length <= MAX_COLUMNS)
      .flatMap((profile) => profile.cells.map((cell) => cell.service)),
  );
  const serviceWeights = (() => {
    const weights = new Map(),
      uses = new Map();
    for (const w of workloads) if (w.profile !== undefined) uses.set(w.profile, (uses.get(w.profile) || 0) + 1);
    profiles.forEach((profile, index) => {
      for (const cell of profile.cells) {
        const weight = (uses.get(index) || 0) / profile.cells.length ** 2;
        weights.set(cell.service, (weights.get(cell.service) || 0) + weight);
      }
    });
    return weights;
  })();

  // The levels of a cell: letters of certain levels, of levels that depend on something, and of levels without effect, because
  // the trust policy refuses the workload. "blind" marks a workload that may have further access.
  // Workloads with the same profile and the same knowledge about it share their levels.
  const levelCache = new Map();
  function levelsOf(w, service) {
    const key = w.profile + " " + w.access + " " + (w.source === "node");
    if (!levelCache.has(key)) levelCache.set(key, new Map());
    const cache = levelCache.get(key);
    if (!cache.has(service)) cache.set(service, computeLevels(w, service));
    return cache.get(service);
  }
  function computeLevels(w, service) {
    const cell = cellOf(w, service);
    const certain = [],
      open = [],
      blocked = [];
    for (const level of LEVELS) {
      const state = cell && cell.levels[level];
      if (!state) continue;
      (w.access === "blocked" ? blocked : state === "yes" && w.access === "known" ? certain : open).push(LETTERS[level]);
    }
    return {certain, open, blocked, blind: w.access === "partial" || w.access === "unknown" || w.source === "node"};
  }
  const rank = (letter) => (letter === undefined ? -1 : RANKS[letter]);
  // The highest levels of several cells as one cell.
  function highest(list) {
    const found = {certain: [], open: [], blocked: [], blind: false};
    for (const levels of list) {
      for (const name of ["certain", "open", "blocked"])
        if (rank(levels[name][0]) > rank(found[name][0])) found[name] = [levels[name][0]];
      found.blind = found.blind || levels.blind;
    }
    return found;
  }
  // Text and style of a cell: the highest certain letter, then a higher one that depends on something.
  function face({certain, open, blocked, blind}) {
    const [top] = certain;
    const higher = open.length && (top === undefined || rank(open[0]) > rank(top)) ? open[0] : undefined;
    if (top !== undefined || higher !== undefined) {
      return {text: (top || "") + (higher ? higher + "?" : ""), style: top ? "level " + top : "level open " + higher};
    }
    if (blocked.length) return {text: blocked[0], style: "blocked"};
    return blind ? {text: "?", style: "blind"} : {text: "", style: "nothing"};
  }
  const levelWords = (letters) => joined(letters.map((letter) => LEVEL_WORDS[letter]));
  function levelSentence({certain, open, blocked, blind}) {
    const parts = [];
    if (certain.length) parts.push(levelWords(certain));
    if (open.length) parts.push((blind ? "not certain: " : "depends: ") + levelWords(open));
    if (blocked.length) parts.push("no access, because the role cannot be used; its policies allow " + levelWords(blocked));
    return parts.join("; ") || (blind ? "unknown" : "no access");
  }

  // The reason why a workload has no profile, or no effective one; "" if it has one.
  function absence(w) {
    if (w.source === "node") {
      const nodes = (clusters[w.cluster].node_roles || []).map((entry) => roles[entry.role].name);
      return (
        "It has no role of its own. It may use the role of its node, which this report does not count as its access" +
        (nodes.length ? ": " + nodes.join(", ") + "." : ".")
      );
    }
    if (w.access === "blocked") {
      const credential = (w.credentials || []).find((item) => item.role !== undefined);
      return ("It cannot use its role. " + ((credential && credential.why) || "")).trim();
    }
    if (w.access === "none") return "Its role does not exist.";
    return profileOf(w) ? "" : "Its permissions are unknown. " + (w.winner || "");
  }

  // ---------------------------------------------------------------- questions

  // Answer questions with the rules of the roles, as access/rules.py does. A pattern is an array of characters, ANY (*) and
  // ONE (?). A backslash in a rule precedes a literal character.
  const ANY = 0,
    ONE = 1;
  const WILDCARDS = {"*": ANY, "?": ONE};
  const parseQuery = (text) => Array.from(text, (character) => WILDCARDS[character] ?? character);
  const parsePattern = (text) =>
    Array.from(text.matchAll(/\\(.)|./gsu), ([character, literal]) => literal ?? WILDCARDS[character] ?? character);
  const isWild = (tokens) => tokens.includes(ANY) || tokens.includes(ONE);

  // Return whether the first pattern matches every text that the second one matches.
  function matches(pattern, text) {
    let p = 0,
      t = 0,
      star = -1,
      resume = 0;
    while (t < text.length) {
      const token = pattern[p];
      if (p < pattern.length && token !== ANY && (token === ONE ? text[t] !== ANY : token === text[t])) {
        p++;
        t++;
      } else if (p < pattern.length && token === ANY) {
        star = p++;
        resume = t;
      } else if (star >= 0) {
        p = star + 1;
        t = ++resume;
      } else {
        return false;
      }
    }
    while (pattern[p] === ANY) p++;
    return p === pattern.length;
  }
  // Return whether some text matches both patterns.
  function overlaps(pattern, text) {
    const skip = (row) => {
      for (let t = 0; t < text.length; t++) if (row[t] && text[t] === ANY) row[t + 1] = true;
      return row;
    };
    let states = skip([true]);
    for (const token of pattern) {
      const next = [];
      for (let t = 0; t <= text.length; t++) {
        if (token === ANY) {
          if (states[t] || next[t - 1]) next[t] = true;
        } else if (states[t] && t < text.length) {
          if (text[t] === ANY) next[t] = true;
          else if (token === ONE || text[t] === ONE || token === text[t]) next[t + 1] = true;
        }
      }
      states = skip(next);
    }
    return Boolean(states[text.length]);
  }

  // The share of the requests of a question that a rule is about, or that the rules allow.
  const NONE = 0,
    SOME = 1,
    ALL = 2;
  function cover(pattern, text) {
    if (matches(pattern, text)) return ALL;
    return isWild(text) && overlaps(pattern, text) ? SOME : NONE;
  }
  // Split an ARN at its first five colons. The single pattern * matches every ARN.
  function splitArn(text, parse) {
    const parts = text === "*" ? Array(6).fill("*") : text.split(":");
    return [...parts.slice(0, 5), parts.slice(5).join(":")].map(parse);
  }
  function resourceCover(parts, request) {
    if (request.anywhere) return parts.slice(2).every((part) => part.length === 1 && part[0] === ANY) ? ALL : SOME;
    return Math.min(...parts.map((part, index) => cover(part, request.parts[index])));
  }
  const widest = (shares) => Math.max(NONE, ...shares);

  // Parse the patterns of a rule when a question needs them first.
  const parsedRules = [];
  function parseRule(number) {
    const rule = report.rules[number];
    return (parsedRules[number] ??= {
      actions: (rule.actions || rule.except_actions).map(parsePattern),
      resources: (rule.resources || rule.except_resources).map((text) => splitArn(text, parsePattern)),
    });
  }
  function ruleCover(number, request) {
    const {except_actions: otherActions, except_resources: otherResources} = report.rules[number];
    const {actions, resources} = parseRule(number);
    const action = widest(actions.map((pattern) => cover(pattern, request.action)));
    const resource = widest(resources.map((parts) => resourceCover(parts, request)));
    return Math.min(otherActions ? ALL - action : action, otherResources ? ALL - resource : resource);
  }

  // Answer a question for the rules of a profile. "least" is the allowed share if no open Allow and every open Deny applies.
  function answerProfile(profile, share) {
    let least = ALL,
      greatest = ALL;
    const keys = [],
      found = [],
      closed = [];
    for (const layer of profile.layers) {
      const rules = layer.allow.filter((rule) => share(rule) > NONE);
      const certain = widest(rules.filter((rule) => !report.rules[rule].keys).map(share));
      const possible = widest(rules.map(share));
      least = Math.min(least, certain);
      greatest = Math.min(greatest, possible);
      found.push(...rules);
      if (possible === NONE) closed.push(layer.name);
      if (certain < ALL) keys.push(...rules.flatMap((rule) => report.rules[rule].keys || []));
    }
    const denying = profile.deny.filter((rule) => share(rule) > NONE);
    for (const rule of denying) {
      least = Math.min(least, ALL - share(rule));
      if (!report.rules[rule].keys) greatest = Math.min(greatest, ALL - share(rule));
      keys.push(...(report.rules[rule].keys || []));
    }
    const whole = denying.filter((rule) => share(rule) === ALL && !report.rules[rule].keys);
    if (greatest === NONE) return {answer: "no", keys: [], rules: whole, closed};
    if (profile.unread) return {answer: "unknown", keys: [], rules: []};
    const word = least === ALL ? "yes" : least === SOME || !keys.length ? "part" : "depends";
    return {answer: word, keys: word === "yes" ? [] : [...new Set(keys)], rules: [...found, ...denying]};
  }

  const USE_OF_ROLE = "use of the role";
  function answerWorkload(w, byProfile) {
    const nothing = {keys: [], rules: []};
    if (w.source === "node" || w.access === "unknown") return {answer: "unknown", ...nothing};
    if (w.access === "none" || w.access === "blocked") return {answer: "no", ...nothing};
    const found = w.profile === undefined ? {answer: "unknown", ...nothing} : byProfile[w.profile];
    const {usable} = winningCredential(w);
    if (found.answer === "no" || !["depends", "unknown"].includes(usable)) return found;
    if (usable === "unknown" || found.answer === "unknown") return {answer: "unknown", ...nothing};
    return {answer: "depends", keys: [...found.keys, USE_OF_ROLE], rules: found.rules};
  }

  // A sentence about the reason of an answer.
  const statementName = ([policy, index]) => policies[policy].statements[index].label + " of " + policies[policy].short;
  function reasonOf(w, {answer: word, keys, closed, statements}) {
    const names = joined(statements.slice(0, 3).map(statementName)) + (statements.length > 3 ? " and others" : "");
    if (absence(w)) return absence(w);
    if (w.access === "unknown") return "Its credentials are unknown. " + (w.winner || "");
    if (word === "yes") return "Allowed by " + names + ".";
    if (word === "no") return closed.length ? "Not allowed by " + joined(closed, "or") + "." : "Denied by " + names + ".";
    if (word === "unknown") {
      const unread = (profileOf(w) || {}).unread || [];
      return unread.length ? "Not read: " + joined(unread) + "." : "It is unknown whether it can use its role.";
    }
    const part = word === "part" ? "At most a part of these requests is allowed" : "";
    return part ? part + (keys.length ? "; more depends on " + joined(keys) : "") + "." : "Depends on " + joined(keys) + ".";
  }

  // Parse a question. Return a request, or an object with the member "error".
  const OBJECT_ACTION =
    /^s3:(?:(?:get|put|delete|restore)object[a-z]*|(abort|list)multipartupload[a-z]*|bypassgovernanceretention)$/i;
  const partition = ((clusters.find((cluster) => cluster.arn) || {}).arn || "arn:aws").split(":")[1] || "aws";
  function parseQuestion(actionText, resourceText) {
    const action = actionText.trim();
    let resource = resourceText.trim() || "*";
    if (!/^(\*|[a-z0-9*?-]+:[a-z0-9*?]+)$/i.test(action))
      return {error: "Enter an action such as s3:GetObject.", field: "action"};
    if (/^s3:/i.test(action) && !resource.includes(":") && resource !== "*") resource = "arn:" + partition + ":s3:::" + resource;
    let note = "";
    if (OBJECT_ACTION.test(action) && /^arn:[^:]*:s3:::[^/*?]+$/.test(resource)) {
      resource += "/*";
      note = "The action applies to the objects of a bucket, so the resource is " + resource + ".";
    }
    if (resource !== "*" && !/^arn:[^:]+:[^:]+:[^:]*:[^:]*:.+$/.test(resource)) {
      return {
        error: "Enter an ARN such as arn:aws:sqs:eu-central-1:111122223333:orders, the name of a bucket, or * for all resources.",
        field: "resource",
      };
    }
    const request = {action: parseQuery(action.toLowerCase()), parts: splitArn(resource, parseQuery), anywhere: resource === "*"};
    return {name: action, resource, note, request};
  }

  const ANSWERS = ["yes", "part", "depends", "unknown", "no"];
  function answer(actionText, resourceText) {
    const question = parseQuestion(actionText, resourceText);
    if (question.error) return question;
    const shares = new Map();
    function share(rule) {
      if (!shares.has(rule)) shares.set(rule, ruleCover(rule, question.request));
      return shares.get(rule);
    }
    const byProfile = profiles.map((profile) => answerProfile(profile, share));
    const rows = workloads.map((w, index) => {
      const found = answerWorkload(w, byProfile);
      const places = found.rules.map((rule) => report.rules[rule].statement).filter(Boolean);
      const statements = [...new Map(places.map((place) => [String(place), place])).values()];
      const row = {workload: index, answer: found.answer, keys: found.keys, statements};
      return {...row, reason: reasonOf(w, {...row, closed: found.closed || []})};
    });
    return {...question, rows};
  }

  // ---------------------------------------------------------------- statements and details

  const valueList = (value) => (Array.isArray(value) ? value : [value]);
  function values(name, list) {
    const shown = valueList(list).map(String);
    const box = element("dd", {});
    const items = shown.slice(0, 12).map((text) => element("code", {}, isolated(text)));
    append(box, items);
    if (shown.length > 12) {
      const rest = element("button", {type: "button", class: "more", text: "Show " + (shown.length - 12) + " more"});
      rest.addEventListener("click", () =>
        rest.replaceWith(...shown.slice(12).map((text) => element("code", {}, isolated(text)))),
      );
      box.append(rest);
    }
    return [element("dt", {text: name}), box];
  }
  function conditionRows(condition) {
    const rows = [];
    for (const [operator, tests] of Object.entries(condition || {})) {
      for (const [key, expected] of Object.entries(tests)) {
        rows.push(...values("Condition", [operator + " " + key + " = " + valueList(expected).join(" or ")]));
      }
    }
    return rows;
  }
  function principalRows(name, principal) {
    if (typeof principal === "string") return values(name, principal);
    return Object.entries(principal).flatMap(([kind, list]) =>
      values(
        name,
        valueList(list).map((text) => kind + ": " + text),
      ),
    );
  }
  function statementBlock(statement, owner) {
    const list = element("dl", {class: "statement " + (statement.Effect === "Allow" ? "allow" : "deny")});
    const head = element(
      "p",
      {class: "statement-head"},
      element("strong", {class: "effect", text: statement.Effect}),
      " ",
      isolated(statement.label),
      owner ? [" of ", isolated(owner)] : "",
    );
    for (const name of ["Principal", "NotPrincipal"])
      if (statement[name] !== undefined) append(list, principalRows(name, statement[name]));
    for (const name of ["Action", "NotAction", "Resource", "NotResource"]) {
      if (statement[name] !== undefined) append(list, values(name, statement[name]));
    }
    append(list, conditionRows(statement.Condition));
    return element("div", {class: "statement-box " + (statement.Effect === "Allow" ? "allow" : "deny")}, head, list);
  }
  const statementBlocks = (list) =>
    list.map(([policy, index]) => statementBlock(policies[policy].statements[index], policies[policy].short));
  const POLICY_KINDS = {
    aws: "AWS managed policy",
    customer: "customer managed policy",
    inline: "inline policy",
    session: "session policy",
  };
  function policyDetails(index, label, open) {
    const policy = policies[index];
    return lazyDetails(
      [
        label ? label + ": " : "",
        isolated(policy.short),
        " ",
        element("small", {text: POLICY_KINDS[policy.kind] + ", " + plural(policy.statements.length, "statement")}),
      ],
      () => [
        policy.name === policy.short ? "" : element("p", {class: "quiet"}, isolated(policy.name)),
        policy.statements.map((statement) => statementBlock(statement)),
      ],
      open,
    );
  }
  // Return a details element whose content is created when it is opened first.
  function lazyDetails(summary, make, open, properties) {
    const details = element("details", properties || {}, element("summary", {}, summary));
    let filled = false;
    const fill = () => {
      if (filled) return;
      filled = true;
      append(details, [make()]);
    };
    details.addEventListener("toggle", () => details.open && fill());
    details.fill = fill;
    if (open) {
      fill();
      details.open = true;
    }
    return details;
  }
  // Return a button that shows and hides content at the end of an item.
  function disclosure(label, make, item) {
    const button = element("button", {type: "button", class: "more", text: label, "aria-expanded": "false"});
    let content = null;
    button.addEventListener("click", () => {
      if (!content) item.append((content = element("div", {hidden: true}, make())));
      content.hidden = !content.hidden;
      button.setAttribute("aria-expanded", String(!content.hidden));
    });
    return button;
  }
  const workloadLink = (index, text) => element("a", {href: "#w" + index}, isolated(text || workloadName(workloads[index])));
  const roleText = (index) => {
    const role = roles[index];
    const state = {missing: " (does not exist)", unread: " (not read)"}[role.state] || "";
    return [isolated(role.name), state];
  };

  // ---------------------------------------------------------------- dialog

  const dialog = byId("why");
  const dialogBody = byId("why-body");
  let returnFocus = null,
    dialogHash = "";
  function openDialog(title, subtitle, content) {
    if (!dialog.open) returnFocus = document.activeElement;
    byId("why-title").replaceChildren(...append(element("div", {}), [title]).childNodes);
    byId("why-subtitle").replaceChildren(...append(element("div", {}), [subtitle]).childNodes);
    dialogBody.replaceChildren(...append(element("div", {}), [content]).childNodes);
    dialogHash = /^#w\d+$/.test(location.hash) ? location.hash : "";
    if (!dialog.open) dialog.showModal();
    dialogBody.scrollTop = 0;
    byId("why-title").focus();
  }
  dialog.addEventListener("close", () => {
    if (dialogHash && location.hash === dialogHash) history.replaceState(null, "", location.pathname + location.search);
    if (matrix.focusActive(returnFocus)) return;
    if (returnFocus && returnFocus.isConnected) returnFocus.focus();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  byId("why-close").addEventListener("click", () => dialog.close());

  // The role whose permissions credentials give, or an empty object.
  function usedRole(credential) {
    return roles[credential.target === undefined ? credential.role : credential.target] || {};
  }

  // A sentence about the last use of a service, or "" if it is unknown.
  function lastUse(w, service) {
    const credential = (w.credentials || []).find((item) => item.role !== undefined);
    const times = credential && (usedRole(credential).use || {}).services;
    if (!times || !Object.hasOwn(times, service)) return "";
    return times[service]
      ? "The role last used this service on " + times[service].slice(0, 10) + "."
      : "IAM has not recorded a use of this service by the role.";
  }

  function serviceReasons(w, service) {
    const cell = cellOf(w, service);
    const profile = profileOf(w);
    const parts = [];
    if (!cell) {
      parts.push(element("p", {text: absence(w) || "No statement of its policies gives access to this service."}));
    } else {
      if (cell.service === OTHER && service !== OTHER)
        parts.push(element("p", {class: "quiet", text: "These statements apply to every service."}));
      if ((cell.resources || []).length) parts.push(element("dl", {class: "facts"}, values("Resources", cell.resources)));
      if ((cell.keys || []).length) parts.push(element("dl", {class: "facts"}, values("Depends on", cell.keys)));
      const used = lastUse(w, service);
      if (used) parts.push(element("p", {class: "quiet", text: used}));
      const [allow, deny] = ["Allow", "Deny"].map((effect) =>
        (cell.statements || []).filter(([policy, index]) => policies[policy].statements[index].Effect === effect),
      );
      if (allow.length) parts.push(element("h4", {text: "Statements"}), statementBlocks(allow));
      const denied = deny.concat((cell.denied || []).filter(([p, s]) => !deny.some(([q, t]) => p === q && s === t)));
      if (denied.length) parts.push(element("h4", {text: "Denied part"}), statementBlocks(denied));
    }
    const limited = (cell && cell.limited) || [];
    if (limited.length && profile) {
      parts.push(element("h4", {text: "Limits"}));
      for (const layer of limited) {
        const policy = profile[layer];
        const name = layer === "boundary" ? "Permissions boundary" : "Session policy";
        parts.push(element("p", {text: "The " + name.toLowerCase() + " does not allow a part of this access."}));
        if (policy !== undefined && policy !== null) parts.push(policyDetails(policy, name));
      }
    }
    if (profile && (profile.unread || []).length) {
      parts.push(
        element("p", {class: "warning"}, "Not read, so the access may be wider or narrower: ", joined(profile.unread), "."),
      );
    }
    return parts;
  }

  const KINDS = {
    pod_identity: "EKS Pod Identity",
    irsa: "IRSA",
    web_identity: "Web identity in a Pod template",
    keys: "Access keys in a Pod template",
    container: "Endpoint for credentials in a Pod template",
  };
  const USABLE = {
    yes: "The trust policy allows it.",
    no: "The trust policy does not allow it.",
    depends: "The trust policy allows it under conditions.",
    unknown: "The trust policy was not read.",
  };
  function credentialCard(credential) {
    const facts = [];
    const fact = (name, ...content) => facts.push(element("dt", {text: name}), append(element("dd", {}), content));
    if (credential.role !== undefined)
      fact(
        "Role",
        isolated(roles[credential.role].arn),
        roles[credential.role].state === "read" ? "" : roleText(credential.role)[1],
      );
    if (credential.target !== undefined) fact("Target role", isolated(roles[credential.target].arn));
    const use = usedRole(credential).use;
    if (use) fact("Last use", use.why);
    if (credential.association)
      fact(
        "Association",
        isolated(credential.association),
        credential.addon ? [" of the add-on ", isolated(credential.addon)] : "",
      );
    if (credential.since) fact("Since", readableTime(credential.since));
    if (credential.session_tags === false) fact("Session tags", "off");
    if (credential.where) fact("Template", isolated(credential.where));
    if (credential.variables) fact("Variables", joined(credential.variables));
    if (credential.usable)
      fact("Trust", USABLE[credential.usable] || credential.usable, credential.why ? [" ", credential.why] : "");
    const trust = (role, indexes) =>
      (indexes || [])
        .map((index) => ((roles[role] || {}).trust || [])[index])
        .filter(Boolean)
        .map((statement) => statementBlock(statement, "the trust policy of " + roles[role].name));
    const statements = [...trust(credential.role, credential.trust), ...trust(credential.target, credential.target_trust)];
    return element(
      "div",
      {class: "card" + (credential.wins ? " wins" : "")},
      element(
        "h4",
        {},
        KINDS[credential.kind] || credential.kind,
        " ",
        credential.wins ? element("span", {class: "tag good", text: "used"}) : element("span", {class: "tag", text: "not used"}),
      ),
      element("dl", {class: "facts"}, facts),
      statements.length ? lazyDetails("Trust policy: " + plural(statements.length, "statement"), () => statements) : "",
    );
  }
  function identitySection(w) {
    const parts = [element("h3", {text: "Identity"}), element("p", {}, w.winner || "")];
    if (w.exists === false) parts.push(element("p", {class: "warning", text: "The service account does not exist."}));
    const pods = w.pods && Object.entries(w.pods).filter(([, count]) => count);
    if (pods && pods.length) {
      const words = {pod_identity: "Pod Identity", irsa: "IRSA", other: "other credentials", none: "no credentials"};
      parts.push(
        element("p", {text: "Pods now: " + joined(pods.map(([kind, count]) => number(count) + " with " + words[kind])) + "."}),
      );
    }
    parts.push((w.credentials || []).map(credentialCard));
    return parts;
  }
  function riskSection(index) {
    if (!workloadRisks[index].length) return [];
    return [
      element("h3", {text: "Risks"}),
      element(
        "ul",
        {class: "rows"},
        workloadRisks[index].map((risk) => riskItem(risks[risk])),
      ),
    ];
  }
  function riskItem(risk) {
    const kind = report.risk_kinds[risk.code] || {title: risk.code, why: "", remedy: ""};
    return element(
      "li",
      {},
      lazyDetails(
        [
          element("span", {class: "severity " + risk.severity, text: risk.severity}),
          " ",
          risk.text,
          risk.certain === false ? element("small", {text: " depends on conditions"}) : "",
        ],
        () => [
          element("p", {}, element("strong", {text: kind.title + ". "}), kind.why),
          element("p", {}, element("strong", {text: "Remedy: "}), kind.remedy),
          risk.detail && risk.detail.length ? element("dl", {class: "facts"}, values("Permissions", risk.detail)) : "",
          statementBlocks(risk.statements || []),
        ],
      ),
    );
  }
  function accessSection(w, only) {
    const profile = profileOf(w);
    const parts = [element("h3", {text: "Access"})];
    if (absence(w)) parts.push(element("p", {class: "warning", text: absence(w)}));
    else if (w.access === "unknown")
      parts.push(element("p", {class: "warning", text: "The permissions are unknown. The list is for the role alone."}));
    if (w.access === "partial")
      parts.push(element("p", {class: "warning", text: "Some policies were not read, so the levels are not certain."}));
    const names =
      profile && w.access !== "none"
        ? [...profileCells[w.profile].keys()].filter(
            (name) => Object.keys(cellOf(w, name).levels).length || (cellOf(w, name).denied || []).length,
          )
        : [];
    const top = (name) => {
      const {certain, open, blocked} = levelsOf(w, name);
      return Math.max(rank(certain[0]), rank(open[0]), rank(blocked[0]));
    };
    names.sort((a, b) => top(b) - top(a) || (a === OTHER) - (b === OTHER) || (a < b ? -1 : 1));
    if (profile && !names.length && w.access !== "none") parts.push(element("p", {text: "Its policies allow nothing."}));
    parts.push(
      longList(
        names,
        (name) => {
          const levels = levelsOf(w, name);
          return element(
            "li",
            {},
            lazyDetails(
              [
                chips(levels),
                " ",
                element("strong", {text: name === OTHER ? "Every other service" : serviceTitle(name)}),
                " ",
                element("small", {text: (name === OTHER ? "" : name + ": ") + levelSentence(levels)}),
              ],
              () => serviceReasons(w, name),
              only === name || names.length === 1,
            ),
          );
        },
        25,
      ),
    );
    if (profile) {
      parts.push(
        element("h3", {text: "Policies"}),
        profile.policies.map((policy) => policyDetails(policy)),
      );
      if (profile.boundary !== undefined && profile.boundary !== null)
        parts.push(policyDetails(profile.boundary, "Permissions boundary"));
      if (profile.session !== undefined && profile.session !== null) parts.push(policyDetails(profile.session, "Session policy"));
      if ((profile.unread || []).length) parts.push(element("p", {class: "warning"}, "Not read: ", joined(profile.unread), "."));
    }
    return parts;
  }
  const chips = (levels) =>
    element(
      "span",
      {class: "chips", "aria-hidden": "true"},
      levels.certain.map((letter) => element("span", {class: "chip level " + letter, text: letter})),
      levels.open.map((letter) => element("span", {class: "chip level open " + letter, text: letter + "?"})),
      levels.blocked.map((letter) => element("span", {class: "chip blocked", text: letter})),
    );
  function subtitleOf(w) {
    const credential = winningCredential(w);
    const chain = [isolated(shortName(w)), " in cluster ", isolated(clusters[w.cluster].name)];
    if (credential && credential.role !== undefined) {
      chain.push(" → ", KINDS[credential.kind] || credential.kind, " → role ", roleText(credential.role));
      if (credential.target !== undefined) chain.push(" → target role ", roleText(credential.target));
    } else {
      chain.push(" → ", SOURCES[w.source] || w.source);
    }
    return chain;
  }
  function showWorkload(index) {
    const w = workloads[index];
    openDialog(isolated(workloadName(w)), subtitleOf(w), [accessSection(w), riskSection(index), identitySection(w)]);
  }
  function showCell(index, service) {
    const w = workloads[index];
    const levels = levelsOf(w, service);
    openDialog([isolated(workloadName(w)), " – " + serviceTitle(service)], subtitleOf(w), [
      element("p", {class: "verdict"}, chips(levels), " ", element("strong", {text: sentence(levelSentence(levels))})),
      serviceReasons(w, service),
      identitySection(w),
      element(
        "p",
        {},
        element("button", {
          type: "button",
          class: "plain",
          text: "All access of " + shortName(w),
          onclick: () => showWorkload(index),
        }),
      ),
    ]);
  }
  const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + ".";
  function showGroup(item, title, levelsAt, open) {
    const top = (index) => {
      const levels = levelsAt(index);
      return Math.max(rank(levels.certain[0]), rank(levels.open[0]), levels.blind ? 0 : -1);
    };
    const rows = item.members.filter((index) => face(levelsAt(index)).text);
    rows.sort((a, b) => top(b) - top(a) || a - b);
    openDialog(
      [isolated(item.label), " – " + title],
      plural(rows.length, "workload") + " of " + number(item.members.length),
      longList(rows, (index) => {
        const levels = levelsAt(index);
        return element(
          "li",
          {},
          chips(levels),
          " ",
          element(
            "button",
            {type: "button", class: "link", onclick: () => open(index)},
            isolated(workloadName(workloads[index])),
          ),
          " ",
          element("small", {text: levelSentence(levels)}),
        );
      }),
    );
  }

  // ---------------------------------------------------------------- matrix

  const matrix = (() => {
    // Rows outside the view are drawn in advance, so that the browser scrolls most frames without this script.
    const ROW = 30,
      BUFFER = 24,
      MARGIN = 8;
    const scroller = byId("matrix-scroll"),
      head = byId("matrix-head"),
      body = byId("matrix-body"),
      table = byId("matrix-table");
    const controls = {
      text: byId("filter"),
      service: byId("filter-service"),
      level: byId("filter-level"),
      source: byId("filter-source"),
      risk: byId("filter-risk"),
    };
    const open = new Map();
    const everyService = byId("all-services");
    let items = [],
      columns = services,
      hidden = [],
      first = -1,
      last = -1,
      active = {key: "", column: 0},
      everything = false;

    const tree = [];
    const clusterNodes = new Map();
    workloads.forEach((w, index) => {
      if (!clusterNodes.has(w.cluster)) {
        const node = {
          key: "c" + w.cluster,
          label: clusters[w.cluster].key,
          level: 1,
          members: [],
          children: [],
          spaces: new Map(),
        };
        clusterNodes.set(w.cluster, node);
        tree.push(node);
      }
      const node = clusterNodes.get(w.cluster);
      if (!node.spaces.has(w.namespace)) {
        const space = {
          key: node.key + "/" + w.namespace,
          label: (clusters.length > 1 ? node.label + " " : "") + w.namespace,
          short: w.namespace,
          level: clusters.length > 1 ? 2 : 1,
          members: [],
        };
        node.spaces.set(w.namespace, space);
        node.children.push(space);
      }
      node.members.push(index);
      node.spaces.get(w.namespace).members.push(index);
    });
    const openByDefault = workloads.length <= 150;
    const haystack = workloads.map((w) => {
      const named = (w.credentials || [])
        .flatMap((c) => [c.role, c.target])
        .filter((role) => role !== undefined)
        .map((role) => roles[role].name);
      return [workloadName(w), SOURCES[w.source] || w.source, ...named].join(" ").toLowerCase();
    });

    function accepted(index) {
      const w = workloads[index];
      const words = controls.text.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
      if (!words.every((word) => haystack[index].includes(word))) return false;
      if (controls.source.value && w.source !== controls.source.value) return false;
      if (controls.risk.value) {
        const worst = worstRisk(index);
        if (!worst || SEVERITIES.indexOf(worst) > SEVERITIES.indexOf(controls.risk.value)) return false;
      }
      const least = controls.level.value ? RANKS[controls.level.value] : -1;
      const service = controls.service.value;
      if (!service && least < 0) return true;
      const candidates = service
        ? [service]
        : w.profile === undefined || w.profile === null
          ? []
          : [...profileCells[w.profile].keys()];
      return candidates.some((name) => {
        const levels = levelsOf(w, name);
        if (!levels.certain.length && !levels.open.length) return levels.blind && Boolean(service);
        return levels.certain.concat(levels.open).some((letter) => letter === "U" || RANKS[letter] >= least);
      });
    }
    const filtered = () => Object.values(controls).some((control) => control.value.trim());

    // The services to which some of the workloads have access.
    function servicesOf(members) {
      const names = new Set(),
        seen = new Set();
      for (const index of members) {
        const {profile} = workloads[index];
        if (profile === undefined || profile === null || seen.has(profile)) continue;
        seen.add(profile);
        for (const cell of profiles[profile].cells) if (Object.keys(cell.levels).length) names.add(cell.service);
      }
      if (names.has(OTHER) || !names.size) return services;
      return services.filter((service) => names.has(service));
    }
    const restCache = new Map();
    function pickColumns(candidates) {
      restCache.clear();
      byId("all-services-box").hidden = candidates.length <= MAX_COLUMNS + 5;
      if (everyService.checked || candidates.length <= MAX_COLUMNS + 5) {
        columns = candidates;
        hidden = [];
        return;
      }
      const named = candidates.filter((service) => service !== OTHER);
      const weight = (service) => serviceWeights.get(service) || 0;
      const order = named.slice().sort((a, b) => weight(b) - weight(a));
      const narrow = order.filter((service) => narrowServices.has(service)).slice(0, MAX_COLUMNS);
      const shown = new Set(narrow.length < MIN_COLUMNS ? [...new Set([...narrow, ...order])].slice(0, MIN_COLUMNS) : narrow);
      columns = [...named.filter((service) => shown.has(service)), REST];
      hidden = candidates.filter((service) => !shown.has(service));
    }
    function levelsAt(index, column) {
      const w = workloads[index];
      if (column !== REST) return levelsOf(w, column);
      const key = w.profile + " " + w.access + " " + (w.source === "node");
      if (!restCache.has(key)) restCache.set(key, highest(hidden.map((service) => levelsOf(w, service))));
      return restCache.get(key);
    }
    const columnTitle = (column) => (column === REST ? number(hidden.length) + " further services" : serviceTitle(column));
    const columnLabel = (column) => (column === REST ? number(hidden.length) + " more" : column === OTHER ? "others" : column);

    function rebuild() {
      const members = new Set(workloads.map((_w, index) => index).filter(accepted));
      const narrow = filtered();
      pickColumns(
        narrow && !controls.service.value ? servicesOf(members) : controls.service.value ? [controls.service.value] : services,
      );
      items = [];
      const isOpen = (node) =>
        narrow && members.size <= 300
          ? open.get(node.key) !== false
          : open.has(node.key)
            ? open.get(node.key)
            : (node.level === 1 && clusters.length > 1) || openByDefault;
      const group = (node) => ({
        kind: "group",
        key: node.key,
        label: node.label,
        short: node.short || node.label,
        level: node.level,
        members: node.members.filter((index) => members.has(index)),
        open: isOpen(node),
      });
      for (const node of tree) {
        const top = group(node);
        if (!top.members.length) continue;
        if (clusters.length > 1) {
          items.push(top);
          if (!top.open) continue;
        }
        for (const space of node.children) {
          const item = group(space);
          if (!item.members.length) continue;
          items.push(item);
          if (item.open)
            for (const index of item.members) items.push({kind: "workload", key: "w" + index, index, level: item.level + 1});
        }
      }
      byId("matrix-count").textContent =
        members.size === workloads.length
          ? plural(members.size, "workload")
          : number(members.size) + " of " + plural(workloads.length, "workload");
      byId("matrix-empty").hidden = members.size > 0;
      table.hidden = members.size === 0;
      table.setAttribute("aria-rowcount", items.length + 1);
      table.setAttribute("aria-colcount", columns.length + 1);
      if (!items.some((item) => item.key === active.key)) active = {key: items.length ? items[0].key : "", column: 0};
      active.column = Math.min(active.column, columns.length);
      drawHead();
      first = -1;
      draw();
    }

    function drawHead() {
      head.replaceChildren(
        element(
          "tr",
          {role: "row", "aria-rowindex": "1"},
          element("th", {class: "name", scope: "col", role: "columnheader", "aria-colindex": "1", text: "Workload"}),
          columns.map((service, index) =>
            element(
              "th",
              {
                scope: "col",
                role: "columnheader",
                class: "service",
                "aria-colindex": String(index + 2),
                "aria-label": columnTitle(service),
                title: columnTitle(service),
              },
              element("span", {text: columnLabel(service)}),
            ),
          ),
        ),
      );
      const longest = Math.max(...columns.map((service) => columnLabel(service).length));
      table.style.setProperty("--columns", columns.length);
      table.style.setProperty("--head", Math.min(14, 1.2 + longest * 0.5) + "rem");
    }

    function groupLevels(item, column) {
      const levels = highest(item.members.map((index) => levelsAt(index, column)));
      return {...levels, blocked: [], blind: levels.blind && !levels.certain.length && !levels.open.length};
    }
    const emptyCell = element("td", {role: "gridcell", tabIndex: -1});
    body.addEventListener(
      "pointerover",
      (event) => {
        const cell = event.target.closest("td[aria-label]");
        if (cell) cell.title = cell.getAttribute("aria-label");
      },
      {passive: true},
    );
    function row(item, position) {
      const tr = element("tr", {
        role: "row",
        class: item.kind + " depth" + item.level,
        "aria-rowindex": String(position + 2),
        "aria-level": String(item.level),
      });
      tr.dataset.key = item.key;
      if (item.kind === "group") {
        const th = element(
          "th",
          {
            scope: "row",
            role: "rowheader",
            class: "name",
            "aria-colindex": "1",
            "aria-expanded": String(item.open),
            tabIndex: -1,
          },
          element("span", {class: "arrow", "aria-hidden": "true", text: item.open ? "▾" : "▸"}),
          isolated(item.short),
          " ",
          element("small", {text: number(item.members.length)}),
        );
        th.title = visible(item.label) + ": " + plural(item.members.length, "workload");
        tr.append(th);
      } else {
        const w = workloads[item.index];
        const worst = worstRisk(item.index);
        const th = element(
          "th",
          {scope: "row", role: "rowheader", class: "name", "aria-colindex": "1", tabIndex: -1},
          isolated(w.service_account),
          element(
            "span",
            {class: "tags"},
            worst ? element("span", {class: "severity " + worst, "aria-label": worst + " risk", text: worst}) : "",
            w.source === "pod_identity" ? "" : element("span", {class: "tag", text: SOURCES[w.source] || w.source}),
            w.access === "partial" ? element("span", {class: "tag", text: "partly read"}) : "",
            w.access === "blocked" ? element("span", {class: "tag", text: "blocked"}) : "",
          ),
        );
        th.title = visible(workloadName(w) + ". " + (w.winner || ""));
        tr.append(th);
      }
      columns.forEach((service, index) => {
        const levels = item.kind === "group" ? groupLevels(item, service) : levelsAt(item.index, service);
        // The cells of an open group are empty, because its rows follow.
        const look = item.kind === "group" && item.open ? {text: "", style: "nothing"} : face(levels);
        const name = item.kind === "group" ? item.label : workloadName(workloads[item.index]);
        const td = emptyCell.cloneNode();
        td.className = look.style;
        if (look.text) td.textContent = look.text;
        td.setAttribute("aria-colindex", index + 2);
        td.setAttribute(
          "aria-label",
          visible(name + ", " + columnTitle(service) + ": " + (item.kind === "group" ? "highest: " : "") + levelSentence(levels)),
        );
        tr.append(td);
      });
      return tr;
    }

    // Rows outside the view are not in the document. Two spacers have their height.
    const spacers = [0, 1].map(() =>
      element("tr", {class: "spacer", role: "presentation"}, element("td", {role: "presentation"})),
    );
    body.replaceChildren(...spacers);
    function resize(spacer, count) {
      spacer.hidden = count === 0;
      spacer.firstChild.colSpan = columns.length + 1;
      spacer.firstChild.style.height = count * ROW + "px";
    }
    let fallback = null;
    function draw() {
      const top = Math.floor(scroller.scrollTop / ROW),
        bottom = Math.ceil((scroller.scrollTop + (scroller.clientHeight || 600)) / ROW);
      const isDrawn = first <= Math.max(0, top - MARGIN) && last >= Math.min(items.length, bottom + MARGIN);
      if (first >= 0 && isDrawn && !everything) return;
      const start = everything ? 0 : Math.max(0, Math.min(top - BUFFER, items.length - 1));
      const end = everything ? items.length : Math.min(items.length, bottom + BUFFER);
      const inside = scroller.contains(document.activeElement);
      // Resize the spacers before the rows change, because a table that is briefly shorter would lose its scroll position.
      resize(spacers[0], start);
      resize(spacers[1], items.length - end);
      if (first < 0 || start >= last || end <= first) {
        while (spacers[0].nextSibling !== spacers[1]) spacers[0].nextSibling.remove();
        spacers[0].after(...items.slice(start, end).map((item, index) => row(item, start + index)));
      } else {
        for (; first < start; first++) spacers[0].nextSibling.remove();
        for (; last > end; last--) spacers[1].previousSibling.remove();
        if (start < first) spacers[0].after(...items.slice(start, first).map((item, index) => row(item, start + index)));
        if (end > last) spacers[1].before(...items.slice(last, end).map((item, index) => row(item, last + index)));
      }
      first = start;
      last = end;
      // One cell can be reached with the Tab key: the active one, or the first one while the active one is not in the document.
      if (fallback) fallback.tabIndex = -1;
      const cell = activeCell();
      fallback = cell || !items.length ? null : spacers[0].nextSibling.firstChild;
      if (cell || fallback) (cell || fallback).tabIndex = 0;
      if (inside && !scroller.contains(document.activeElement)) (cell || scroller).focus({preventScroll: true});
    }
    function activeCell() {
      const tr = [...body.children].find((candidate) => candidate.dataset.key === active.key);
      return tr ? tr.children[active.column] : null;
    }
    function moveTo(position, column) {
      const index = Math.max(0, Math.min(items.length - 1, position));
      const old = activeCell();
      if (old) old.tabIndex = -1;
      active = {key: items[index].key, column: Math.max(0, Math.min(columns.length, column))};
      const top = index * ROW,
        visibleHeight = scroller.clientHeight - head.offsetHeight - ROW;
      if (top < scroller.scrollTop) scroller.scrollTop = top;
      else if (top > scroller.scrollTop + visibleHeight) scroller.scrollTop = top - visibleHeight;
      draw();
      const cell = activeCell();
      if (!cell) return;
      cell.tabIndex = 0;
      cell.focus({preventScroll: true});
      if (active.column) {
        const name = body.querySelector("th.name").offsetWidth;
        if (cell.offsetLeft - name < scroller.scrollLeft) scroller.scrollLeft = cell.offsetLeft - name;
        else if (cell.offsetLeft + cell.offsetWidth > scroller.scrollLeft + scroller.clientWidth) {
          scroller.scrollLeft = cell.offsetLeft + cell.offsetWidth - scroller.clientWidth;
        }
      }
    }
    function activate(item, column) {
      if (item.kind === "group") {
        if (column) {
          const service = columns[column - 1];
          showGroup(
            item,
            columnTitle(service),
            (index) => levelsAt(index, service),
            (index) => (service === REST ? showWorkload(index) : showCell(index, service)),
          );
          return;
        }
        open.set(item.key, !item.open);
        rebuild();
        const cell = activeCell();
        if (cell) cell.focus({preventScroll: true});
      } else if (column && columns[column - 1] !== REST) {
        showCell(item.index, columns[column - 1]);
      } else {
        showWorkload(item.index);
      }
    }
    function locate(target) {
      const cell = target.closest("td, th");
      const tr = cell && cell.closest("tr");
      if (!tr || !tr.dataset.key) return null;
      const position = items.findIndex((item) => item.key === tr.dataset.key);
      return {position, column: [...tr.children].indexOf(cell)};
    }
    body.addEventListener("click", (event) => {
      const place = locate(event.target);
      if (!place) return;
      moveTo(place.position, place.column);
      activate(items[place.position], place.column);
    });
    scroller.addEventListener("keydown", (event) => {
      if (event.altKey || event.metaKey || !items.length) return;
      const position = Math.max(
        0,
        items.findIndex((item) => item.key === active.key),
      );
      const page = Math.max(1, Math.floor(scroller.clientHeight / ROW) - 6);
      const item = items[position];
      const moves = {
        ArrowDown: [position + 1, active.column],
        ArrowUp: [position - 1, active.column],
        ArrowRight: [position, active.column + 1],
        ArrowLeft: [position, active.column - 1],
        PageDown: [position + page, active.column],
        PageUp: [position - page, active.column],
        Home: event.ctrlKey ? [0, 0] : [position, 0],
        End: event.ctrlKey ? [items.length - 1, columns.length] : [position, columns.length],
      };
      // In the first column the arrows to the sides open and close a group.
      const sideways = {ArrowRight: true, ArrowLeft: false}[event.key];
      const turns = item.kind === "group" && active.column === 0 && sideways !== undefined && item.open !== sideways;
      if (turns || event.key === "Enter" || event.key === " ") activate(item, active.column);
      else if (moves[event.key]) moveTo(...moves[event.key]);
      else return;
      event.preventDefault();
    });
    let waiting = false;
    scroller.addEventListener(
      "scroll",
      () => {
        if (waiting) return;
        waiting = true;
        requestAnimationFrame(() => {
          waiting = false;
          draw();
        });
      },
      {passive: true},
    );
    new ResizeObserver(() => draw()).observe(scroller);
    for (const control of Object.values(controls))
      control.addEventListener("input", () => {
        scroller.scrollTop = 0;
        rebuild();
      });
    const setAll = (state) => {
      for (const node of tree)
        for (const one of [node, ...node.children]) open.set(one.key, state || (one.level === 1 && clusters.length > 1));
      rebuild();
    };
    everyService.addEventListener("input", rebuild);
    byId("expand").addEventListener("click", () => setAll(true));
    byId("collapse").addEventListener("click", () => setAll(false));
    byId("clear").addEventListener("click", () => {
      for (const control of Object.values(controls)) control.value = "";
      rebuild();
      controls.text.focus();
    });
    for (const service of services)
      controls.service.append(element("option", {value: service, text: service === OTHER ? "others" : service}));
    for (const source of Object.keys(SOURCES)) {
      if (workloads.some((w) => w.source === source))
        controls.source.append(element("option", {value: source, text: SOURCES[source]}));
    }
    return {
      rebuild,
      focusActive(previous) {
        if (
          !previous ||
          !(scroller.contains(previous) || (previous.closest && previous.closest("#matrix-body")) || !previous.isConnected)
        )
          return false;
        const cell = activeCell();
        if (cell) cell.focus({preventScroll: true});
        return Boolean(cell);
      },
      // Draw all rows for printing, if they fit on a few pages.
      print(state) {
        const fits = items.length <= 250 && columns.length <= 32;
        byId("matrix").classList.toggle("unprinted", state && !fits);
        everything = state && fits;
        first = -1;
        draw();
      },
    };
  })();

  // ---------------------------------------------------------------- forms of the questions

  const COMMON_ACTIONS = [
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:ListBucket",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
    "secretsmanager:GetSecretValue",
    "ssm:GetParameter",
    "kms:Decrypt",
    "sts:AssumeRole",
    "iam:PassRole",
  ];
  const whoForm = byId("who"),
    actionField = byId("who-action"),
    resourceField = byId("who-resource"),
    result = byId("who-result"),
    status = byId("who-status");
  function fillSuggestions() {
    const actions = new Set(COMMON_ACTIONS),
      resources = new Set();
    for (const policy of policies)
      for (const statement of policy.statements) {
        for (const action of valueList(statement.Action || []))
          if (!/[*?]/.test(action) && actions.size < 600) actions.add(action);
        for (const resource of valueList(statement.Resource || []))
          if (resource !== "*" && !resource.includes("$") && resources.size < 1000) resources.add(resource);
      }
    byId("actions").replaceChildren(...[...actions].sort().map((value) => element("option", {value})));
    byId("resources").replaceChildren(...[...resources].sort().map((value) => element("option", {value})));
  }
  for (const field of [actionField, resourceField]) field.addEventListener("focus", fillSuggestions, {once: true});

  // The names of all actions by service, with their spelling by the name in lower case; null if the page does not have them.
  let knownActions;
  async function readActions() {
    const packed = await readData("action-names");
    if (!packed) return null;
    const found = new Map();
    for (const [service, groups] of Object.entries(packed)) {
      const names = new Map();
      for (const [verbs, things] of Object.entries(groups))
        for (const verb of verbs.split(","))
          for (const thing of things.split(",")) names.set((verb + thing).toLowerCase(), service + ":" + verb + thing);
      found.set(service, names);
    }
    return found;
  }
  // The number of characters to insert, delete, replace or swap to change a text into another one.
  function distance(a, b) {
    const rows = [Array.from({length: b.length + 1}, (_value, j) => j)];
    for (let i = 1; i <= a.length; i++) {
      rows.push([i]);
      for (let j = 1; j <= b.length; j++) {
        const same = a[i - 1] === b[j - 1] ? 0 : 1;
        rows[i][j] = Math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + same);
        if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
          rows[i][j] = Math.min(rows[i][j], rows[i - 2][j - 2] + 1);
      }
    }
    return rows[a.length][b.length];
  }
  function nearest(text, candidates) {
    let best = null,
      least = Math.ceil(text.length / 3) + 1;
    for (const candidate of candidates) {
      const steps = Math.abs(candidate.length - text.length) < least ? distance(text, candidate) : least;
      if (steps < least) [best, least] = [candidate, steps];
    }
    return best;
  }
  // Return a note about an action that does not exist, or null.
  async function actionNote(action) {
    knownActions = knownActions || readActions();
    const known = await knownActions;
    if (!known)
      return element("p", {
        class: "quiet",
        text: "This page cannot check the name of the action, because the names of all actions were not known when it was written.",
      });
    if (action === "*") return null;
    const [service, name] = action.toLowerCase().split(":");
    const find = (text, names) => {
      const pattern = parseQuery(text);
      return [...names].filter((candidate) => matches(pattern, Array.from(candidate)));
    };
    const found = find(service, known.keys());
    if (found.some((key) => find(name, known.get(key).keys()).length)) return null;
    if (/[*?]/.test(action))
      return element("p", {class: "warning"}, element("code", {text: action}), " matches no action that the collection knows.");
    const near = found[0] || nearest(service, known.keys());
    const similar = near && nearest(name, known.get(near).keys());
    const hint = similar && known.get(near).get(similar);
    const use = () => {
      actionField.value = hint;
      ask();
      actionField.focus();
    };
    return element(
      "p",
      {class: "warning"},
      element("code", {text: action}),
      " is not an action that the collection knows",
      hint ? ["; did you mean ", element("button", {type: "button", class: "link", text: hint, onclick: use}), "?"] : ".",
    );
  }

  let turn = 0;
  const ANSWER_TITLES = {yes: "Yes", part: "Part", depends: "Depends", unknown: "Unknown", no: "No"};
  function ask() {
    const current = ++turn;
    result.replaceChildren();
    for (const field of [actionField, resourceField]) field.removeAttribute("aria-invalid");
    if (!actionField.value.trim() && !resourceField.value.trim()) {
      status.textContent = "";
      return;
    }
    const found = answer(actionField.value, resourceField.value);
    if (found.error) {
      (found.field === "action" ? actionField : resourceField).setAttribute("aria-invalid", "true");
      status.textContent = found.error;
      return;
    }
    const {rows} = found;
    const groups = ANSWERS.map((word) => [word, rows.filter((row) => row.answer === word)]);
    status.replaceChildren(
      ...append(element("p", {}), [
        element("code", {text: found.name}),
        " on ",
        found.resource === "*" ? "any resource" : element("code", {}, isolated(found.resource)),
        ": ",
        groups.map(([decision, list]) => [
          element("strong", {class: "decision " + decision, text: number(list.length) + " " + decision}),
          " ",
        ]),
      ]).childNodes,
    );
    actionNote(found.name).then((note) => {
      if (note && current === turn) status.append(note);
    });
    if (found.note) result.append(element("p", {class: "quiet", text: found.note}));
    if (unreadClusters.length)
      result.append(
        element(
          "p",
          {class: "warning"},
          "Unknown for the service accounts of ",
          plural(unreadClusters.length, "cluster"),
          " that could not be read: ",
          isolated(unreadClusters.slice(0, 6).join(", ") + (unreadClusters.length > 6 ? ", …" : "")),
          ".",
        ),
      );
    for (const [decision, list] of groups) {
      if (!list.length) continue;
      const closed = decision === "no" || (decision === "unknown" && list.length > 10);
      result.append(
        lazyDetails(
          [
            element("span", {class: "decision " + decision, text: ANSWER_TITLES[decision]}),
            " ",
            element("small", {text: plural(list.length, "workload")}),
          ],
          () => longList(list, answerRow),
          !closed,
          {class: "answer"},
        ),
      );
    }
    result.append(
      element(
        "p",
        {class: "quiet"},
        "Decided by the policies of the roles. ",
        element("a", {href: "#limits", text: "Limits of this report"}),
      ),
    );
    history.replaceState(
      null,
      "",
      "#who?" + new URLSearchParams({action: actionField.value.trim(), resource: resourceField.value.trim()}),
    );
  }
  function answerRow(row) {
    const w = workloads[row.workload];
    const head = [
      workloadLink(row.workload),
      " ",
      element("small", {text: SOURCES[w.source] || w.source}),
      " ",
      element("span", {class: "reason", text: row.reason}),
    ];
    const item = element("li", {class: "answer-head"}, head);
    if (row.statements.length)
      item.append(
        " ",
        disclosure("Why", () => statementBlocks(row.statements), item),
      );
    return item;
  }
  let timer = 0;
  for (const field of [actionField, resourceField])
    field.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(ask, 250);
    });
  whoForm.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    ask();
  });
  for (const button of document.querySelectorAll("[data-action]"))
    button.addEventListener("click", () => {
      actionField.value = button.dataset.action;
      resourceField.placeholder = button.dataset.example;
      resourceField.value = "";
      ask();
      resourceField.focus();
    });

  const nameField = byId("what-name"),
    nameList = byId("what-list");
  const lowered = workloads.map((w) => workloadName(w).toLowerCase());
  function findWorkloads(text) {
    const words = text.trim().toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return [];
    const found = [];
    lowered.forEach((name, index) => words.every((word) => name.includes(word)) && found.push(index));
    const exact = (index) =>
      lowered[index] === text.trim().toLowerCase() || shortName(workloads[index]).toLowerCase() === text.trim().toLowerCase()
        ? 0
        : 1;
    return found.sort((a, b) => exact(a) - exact(b) || a - b);
  }
  nameField.addEventListener("input", () => {
    const found = findWorkloads(nameField.value);
    nameList.replaceChildren(
      ...found
        .slice(0, 8)
        .map((index) =>
          element(
            "li",
            {},
            workloadLink(index),
            " ",
            element("small", {text: SOURCES[workloads[index].source] || workloads[index].source}),
          ),
        ),
    );
    byId("what-status").textContent = !nameField.value.trim()
      ? ""
      : found.length > 8
        ? "8 of " + plural(found.length, "workload")
        : plural(found.length, "workload");
  });
  byId("what").addEventListener("submit", (event) => {
    event.preventDefault();
    const found = findWorkloads(nameField.value);
    if (found.length) location.hash = "#w" + found[0];
  });

  // ---------------------------------------------------------------- risks, links, print

  // The lists of risks are part of the page, so that they work without this script. Show the statements of a risk after a click.
  for (const item of document.querySelectorAll("li[data-risk]")) {
    const risk = risks[Number(item.dataset.risk)];
    const statements = (risk.statements || []).length || (risk.detail || []).length;
    if (!statements) continue;
    item.append(
      " ",
      disclosure(
        "Statements",
        () => [
          risk.detail && risk.detail.length ? element("dl", {class: "facts"}, values("Permissions", risk.detail)) : "",
          statementBlocks(risk.statements || []),
        ],
        item,
      ),
    );
  }

  // The style makes blocks of the rows of the table, and some browsers then need the roles of the elements.
  const TABLE_ROLES = {table: "table", thead: "rowgroup", tbody: "rowgroup", tr: "row", td: "cell"};
  for (const node of document.querySelectorAll(".plain-table, .plain-table *")) {
    const role = node.tagName === "TH" ? (node.scope === "col" ? "columnheader" : "rowheader") : TABLE_ROLES[node.localName];
    if (role) node.setAttribute("role", role);
  }

  function follow() {
    const workload = /^#w(\d+)$/.exec(location.hash);
    if (workload && workloads[Number(workload[1])]) {
      showWorkload(Number(workload[1]));
      return;
    }
    if (location.hash.startsWith("#who?")) {
      const parameters = new URLSearchParams(location.hash.slice(5));
      actionField.value = parameters.get("action") || "";
      resourceField.value = parameters.get("resource") || "";
      ask();
      return;
    }
    const target = location.hash.length > 1 ? byId(decodeURIComponent(location.hash.slice(1))) : null;
    if (target && !document.documentElement.classList.contains("ready")) target.scrollIntoView();
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#w']");
    const index = link && /^#w(\d+)$/.exec(link.getAttribute("href"));
    if (!index || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    history.replaceState(null, "", "#w" + index[1]);
    showWorkload(Number(index[1]));
  });
  window.addEventListener("hashchange", follow);

  let closedForPrint = [];
  window.addEventListener("beforeprint", () => {
    closedForPrint = [...document.querySelectorAll("main details:not([open])")].filter(
      (details) => !details.closest(".answer, #who-result"),
    );
    for (const details of closedForPrint) details.open = true;
    matrix.print(true);
  });
  window.addEventListener("afterprint", () => {
    for (const details of closedForPrint) details.open = false;
    matrix.print(false);
  });

  document.documentElement.classList.add("script");
  matrix.rebuild();
  follow();
  document.documentElement.classList.add("ready");
  globalThis.accessReport = Object.freeze({
    // Answer a question for all workloads. Return the parsed question, and rows with answer, keys, reason and statements.
    answer,
  });
})();
