/* Copyright: (c) 2026, the workload_identity.aws authors
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The script of the access report. It reads the JSON in the page, and sends no requests. Text is only inserted as text nodes,
 * never as HTML, and has no characters that could make a name look like another one.
 */
(async () => {
  "use strict";

  // The data is null or a string: the JSON, compressed with gzip, in base64.
  async function readData(id) {
    const data = JSON.parse(document.getElementById(id).textContent);
    if (data === null) return null;
    const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  }

  const report = await readData("data");
  const {clusters, policies, roles, profiles, workloads, risks} = report;
  const byId = (id) => document.getElementById(id);

  // ---------------------------------------------------------------- text and elements
  // Add text, nodes, lists of them, and objects with properties, attributes and listeners to a node.
  function append(node, children) {
    for (const child of children.flat(Infinity)) {
      if (child instanceof Node) node.append(child);
      else if (child && typeof child === "object") {
        for (const [name, value] of Object.entries(child)) {
          if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
          else if (name in node && name !== "role") node[name] = value;
          else node.setAttribute(name, value);
        }
      } else if (child || child === 0) node.append(child);
    }
    return node;
  }
  // Create an element. "span.tag.good" is a span with two classes.
  function h(selector, ...children) {
    const [tag, ...classes] = selector.split(".");
    const node = document.createElement(tag);
    if (classes.length) node.className = classes.join(" ");
    return append(node, children);
  }
  function fill(node, ...children) {
    node.replaceChildren();
    return append(node, children);
  }
  const isolated = (text) => h("bdi", text);
  const number = (count) => count.toLocaleString("en-US");
  const plural = (count, noun) => number(count) + " " + noun + (count === 1 ? "" : "s");
  const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + ".";
  const unique = (places) => [...new Map(places.map((place) => [String(place), place])).values()];
  const listOf = (value) => (value === undefined ? [] : [value].flat());
  const joined = (words, last = "and") =>
    words.length < 2 ? words.join("") : words.slice(0, -1).join(", ") + " " + last + " " + words.at(-1);

  // Return a list that shows its first rows, and further ones after a click.
  function longList(rows, make, size = 50) {
    const rest = rows.slice(size);
    function show({target}) {
      const next = longList(rest, make, size);
      target.replaceWith(next);
      next.querySelector("a, summary, button")?.focus();
    }
    const text = "Show " + Math.min(size, rest.length) + " more of " + number(rest.length);
    const more = rest.length ? h("button.more", {type: "button", onclick: show}, text) : "";
    return h("div", h("ul.rows", rows.slice(0, size).map(make)), more);
  }
  // Return a details element whose content is created when it is opened first.
  function lazyDetails(summary, make, open = false, className = "") {
    const details = h("details", {className}, h("summary", summary));
    details.addEventListener("toggle", () => details.children.length < 2 && append(details, [make()]));
    if (open) append(details, [make(), {open}]);
    return details;
  }
  // ---------------------------------------------------------------- workloads, services, levels
  // The levels with their letters and words, and the sources of credentials, the highest level first.
  const {levels: LEVELS, sources: SOURCES, kinds: KINDS} = report.labels;
  const LEVEL_WORDS = Object.fromEntries(LEVELS.map(([, letter, word]) => [letter, word]));
  const rank = (letter) => (letter ? LEVELS.length - LEVELS.findIndex(([, found]) => found === letter) : 0);
  const SEVERITIES = ["high", "medium", "low"];
  const OTHER = "*";
  const shortName = (w) => w.namespace + "/" + w.service_account;
  const workloadLink = (index) => h("a", {href: "#w" + index}, isolated(workloads[index].name));
  const sourceTitle = (w) => SOURCES[w.source] ?? w.source;
  const serviceTitle = (service) => (service === OTHER ? "every other service" : report.services[service] || service);
  const winningCredential = (w) => (w.credentials || []).find((credential) => credential.wins) || {};
  const roleCredential = (w) => (w.credentials || []).find((credential) => credential.role !== undefined);
  const workloadRisks = workloads.map(() => []);
  risks.forEach((risk) => risk.workloads.forEach((index) => workloadRisks[index].push(risk)));
  const worstRisk = (index) => SEVERITIES.find((severity) => workloadRisks[index].some((risk) => risk.severity === severity));
  const profileCells = profiles.map((profile) => new Map(profile.cells.map((cell) => [cell.service, cell])));
  const cellsOf = (w) => profileCells[w.profile] || new Map();
  const cellOf = (w, service) => cellsOf(w).get(service) || cellsOf(w).get(OTHER);
  const byName = (a, b) => (a === OTHER) - (b === OTHER) || (a < b ? -1 : 1);
  const services = [...new Set(profileCells.flatMap((cells) => [...cells.keys()]))].sort(byName);

  // The levels of a cell: letters of certain levels, of levels that depend on something, and of levels without effect, because the
  // workload cannot use its role. "blind" marks a workload that may have further access.
  const levelCache = new Map();
  const knowledge = (w) => [w.profile, w.access, w.source === "node"].join(" ");
  function levelsOf(w, service) {
    const key = knowledge(w) + " " + service;
    if (levelCache.has(key)) return levelCache.get(key);
    const found = {certain: [], open: [], blocked: [], blind: ["partial", "unknown"].includes(w.access) || w.source === "node"};
    const levels = cellOf(w, service)?.levels || {};
    for (const [level, letter] of LEVELS.filter(([name]) => levels[name])) {
      const isCertain = levels[level] === "yes" && w.access === "known";
      found[w.access === "blocked" ? "blocked" : isCertain ? "certain" : "open"].push(letter);
    }
    levelCache.set(key, found);
    return found;
  }
  const topRank = ({certain, open, blocked}) => Math.max(rank(certain[0]), rank(open[0]), rank(blocked[0]));
  // The highest levels of several cells as one cell.
  function highest(list) {
    const found = {certain: [], open: [], blocked: [], blind: list.some((levels) => levels.blind)};
    for (const levels of list)
      for (const name of ["certain", "open", "blocked"])
        if (rank(levels[name][0]) > rank(found[name][0])) found[name] = [levels[name][0]];
    return found;
  }
  // Text and style of a cell: the highest certain letter, then a higher one that depends on something.
  function face({certain: [top], open: [higher], blocked, blind}) {
    if (rank(higher) <= rank(top)) higher = "";
    if (top || higher) return [(top || "") + (higher ? higher + "?" : ""), top ? "level " + top : "level open " + higher];
    return blocked.length ? [blocked[0], "blocked"] : blind ? ["?", "blind"] : ["", "nothing"];
  }
  const levelWords = (letters) => joined(letters.map((letter) => LEVEL_WORDS[letter]));
  function levelSentence({certain, open, blocked, blind}) {
    const parts = [];
    if (certain.length) parts.push(levelWords(certain));
    if (open.length) parts.push((blind ? "not certain: " : "depends: ") + levelWords(open));
    if (blocked.length) parts.push("no access, because the role cannot be used; its policies allow " + levelWords(blocked));
    return parts.join("; ") || (blind ? "unknown" : "no access");
  }
  function chips({certain, open, blocked}) {
    const further = open.map((letter) => h("span.chip.level.open." + letter, letter + "?"));
    const shown = certain.map((letter) => h("span.chip.level." + letter, letter));
    return h("span.chips", {"aria-hidden": "true"}, shown, further, blocked.map((letter) => h("span.chip.blocked", letter)));
  }
  // The reason why a workload has no profile, or no effective one; "" if it has one.
  function absence(w) {
    if (w.source === "node") {
      const names = (clusters[w.cluster].node_roles || []).map((entry) => roles[entry.role].name).join(", ");
      const text = "It has no role of its own. It may use the role of its node, which this report does not count as its access";
      return text + (names && ": ") + names + ".";
    }
    if (w.access === "blocked") return ("It cannot use its role. " + (roleCredential(w)?.why || "")).trim();
    if (w.access === "none") return "Its role does not exist.";
    return profiles[w.profile] ? "" : "Its permissions are unknown. " + (w.winner || "");
  }

  // ---------------------------------------------------------------- questions
  // Answer questions with the rules of the roles, as access/rules.py does. A pattern is an array of characters, ANY (*) and
  // ONE (?). A backslash in a rule precedes a literal character.
  const [ANY, ONE] = [0, 1];
  const WILDCARDS = {"*": ANY, "?": ONE};
  const parseQuery = (text) => Array.from(text, (character) => WILDCARDS[character] ?? character);
  const parsePattern = (text) =>
    Array.from(text.matchAll(/\\(.)|./gsu), ([character, literal]) => literal ?? WILDCARDS[character] ?? character);

  // Return whether the first pattern matches every text that the second one matches.
  function matches(pattern, text) {
    let [p, t, star, resume] = [0, 0, -1, 0];
    while (t < text.length) {
      const token = pattern[p];
      if (token === ANY) [star, resume, p] = [p, t, p + 1];
      else if (p < pattern.length && (token === ONE ? text[t] !== ANY : token === text[t])) [p, t] = [p + 1, t + 1];
      else if (star >= 0) [p, t, resume] = [star + 1, resume + 1, resume + 1];
      else return false;
    }
    while (pattern[p] === ANY) p++;
    return p === pattern.length;
  }
  // Return whether some text matches both patterns.
  function overlaps(pattern, text) {
    const seen = new Set();
    function meet(p, t) {
      const [a, b, key] = [pattern[p], text[t], p * (text.length + 1) + t];
      if (seen.has(key)) return false;
      seen.add(key);
      if (p === pattern.length && t === text.length) return true;
      if (a === ANY) return meet(p + 1, t) || (t < text.length && meet(p, t + 1));
      if (b === ANY) return meet(p, t + 1) || (p < pattern.length && meet(p + 1, t));
      return p < pattern.length && t < text.length && (a === ONE || b === ONE || a === b) && meet(p + 1, t + 1);
    }
    return meet(0, 0);
  }

  // The share of the requests of a question that a rule is about, or that the rules allow.
  const [NONE, SOME, ALL] = [0, 1, 2];
  const cover = (pattern, text) =>
    matches(pattern, text) ? ALL : text.some((token) => token === ANY || token === ONE) && overlaps(pattern, text) ? SOME : NONE;
  // Split an ARN at its first five colons. The single pattern * matches every ARN.
  function splitArn(text, parse) {
    const parts = text === "*" ? Array(6).fill("*") : text.split(":");
    return [...parts.slice(0, 5), parts.slice(5).join(":")].map(parse);
  }
  function resourceCover(parts, request) {
    if (request.anywhere) return parts.slice(2).every((part) => part.length === 1 && part[0] === ANY) ? ALL : SOME;
    return Math.min(...parts.map((part, index) => cover(part, request.parts[index])));
  }
  const keysOf = (rule) => report.rules[rule].keys || [];
  const widest = (shares) => Math.max(NONE, ...shares);

  function ruleCover(number, request) {
    const rule = report.rules[number];
    rule.parsedActions ??= (rule.actions || rule.except_actions).map(parsePattern);
    rule.parsedResources ??= (rule.resources || rule.except_resources).map((text) => splitArn(text, parsePattern));
    const action = widest(rule.parsedActions.map((pattern) => cover(pattern, request.action)));
    const resource = widest(rule.parsedResources.map((parts) => resourceCover(parts, request)));
    return Math.min(rule.except_actions ? ALL - action : action, rule.except_resources ? ALL - resource : resource);
  }

  // Answer a question for the rules of a profile. "least" is the allowed share if no open Allow and every open Deny applies.
  function answerProfile(profile, share) {
    let [least, greatest] = [ALL, ALL];
    const [keys, found, closed] = [[], [], []];
    for (const layer of profile.layers) {
      const rules = layer.allow.filter((rule) => share(rule) > NONE);
      const certain = widest(rules.filter((rule) => !keysOf(rule).length).map(share));
      const possible = widest(rules.map(share));
      least = Math.min(least, certain);
      greatest = Math.min(greatest, possible);
      found.push(...rules);
      if (possible === NONE) closed.push(layer.name);
      if (certain < ALL) keys.push(...rules.flatMap(keysOf));
    }
    const denying = profile.deny.filter((rule) => share(rule) > NONE);
    const certainly = denying.filter((rule) => !keysOf(rule).length);
    least = Math.min(least, ...denying.map((rule) => ALL - share(rule)));
    greatest = Math.min(greatest, ...certainly.map((rule) => ALL - share(rule)));
    keys.push(...denying.flatMap(keysOf));
    if (greatest === NONE) return {answer: "no", keys: [], rules: certainly.filter((rule) => share(rule) === ALL), closed};
    if (profile.unread) return {answer: "unknown", keys: [], rules: []};
    const word = least === ALL ? "yes" : least === SOME || !keys.length ? "part" : "depends";
    return {answer: word, keys: word === "yes" ? [] : [...new Set(keys)], rules: [...found, ...denying]};
  }

  function answerWorkload(w, byProfile, byChain) {
    const answered = (answer, keys = [], rules = []) => ({answer, keys, rules});
    if (w.source === "node" || w.access === "unknown") return answered("unknown");
    const isIdle = w.access === "none" || w.access === "blocked";
    const found = isIdle ? answered("no") : byProfile[w.profile] || answered("unknown");
    const {usable} = winningCredential(w);
    if (found.answer === "no") {
      const chains = (w.chains || []).map(([name, chain]) => [name, byChain[chain].answer]);
      const named = (...words) => chains.filter(([, word]) => words.includes(word)).map(([name]) => name);
      const obtain = [...(w.means || []), ...named("yes", "part", "depends")];
      const unknown = [...(w.unread_roles || []), ...named("unknown")];
      if (obtain.length) return answered("obtain", obtain);
      return unknown.length ? answered("unknown", unknown) : found;
    }
    if (usable === "depends" && found.answer !== "unknown")
      return answered("depends", [...found.keys, "use of the role"], found.rules);
    return usable === "unknown" ? answered("unknown") : found;
  }

  // A sentence about the reason of an answer.
  const statementName = ([policy, index]) => policies[policy].statements[index].label + " of " + policies[policy].short;
  function reasonOf(w, {answer: word, keys, closed, statements}) {
    const names = joined(statements.slice(0, 3).map(statementName)) + (statements.length > 3 ? " and others" : "");
    const unread = profiles[w.profile]?.unread;
    if (word === "obtain") return "Can obtain it through " + joined(keys, "or") + ".";
    if (word === "unknown" && keys.length) return "Depends on " + joined(keys) + ".";
    if (absence(w)) return absence(w);
    if (w.access === "unknown") return "Its credentials are unknown. " + (w.winner || "");
    return {
      yes: "Allowed by " + names + ".",
      part: "Single statements allow a part of these requests, and together perhaps all" + (keys.length ? "; more depends on " + joined(keys) : "") + ".",
      depends: "Depends on " + joined(keys) + ".",
      unknown: unread ? "Not read: " + joined(unread) + "." : "It is unknown whether it can use its role.",
      no: closed.length ? "Not allowed by " + joined(closed, "or") + "." : "Denied by " + names + ".",
    }[word];
  }
  // Parse a question. Return a request, or an object with the member "error".
  const OBJECT_ACTION = /^s3:((get|put|delete|restore)object[a-z]*|(abort|list)multipartupload[a-z]*|bypassgovernanceretention)$/i;
  const partition = ((clusters.find((cluster) => cluster.arn) || {}).arn || "arn:aws").split(":")[1] || "aws";
  function parseQuestion(actionText, resourceText) {
    const action = actionText.trim();
    let resource = resourceText.trim() || "*";
    if (!/^(\*|[a-z0-9*?-]+:[a-z0-9*?]+)$/i.test(action))
      return {error: "Enter an action such as s3:GetObject.", field: "action"};
    if (/^s3:/i.test(action) && !resource.includes(":") && resource !== "*") resource = "arn:" + partition + ":s3:::" + resource;
    // The action applies to the objects of a bucket.
    if (OBJECT_ACTION.test(action) && /^arn:[^:]*:s3:::[^/*?]+$/.test(resource)) resource += "/*";
    if (resource !== "*" && !/^arn:[^:]+:[^:]+:[^:]*:[^:]*:.+$/.test(resource))
      return {error: "Enter an ARN, the name of a bucket, or * for all resources.", field: "resource"};
    const request = {action: parseQuery(action.toLowerCase()), parts: splitArn(resource, parseQuery), anywhere: resource === "*"};
    return {name: action, resource, request};
  }

  const ANSWERS = ["yes", "part", "depends", "obtain", "unknown", "no"];
  function answer(actionText, resourceText) {
    const question = parseQuestion(actionText, resourceText);
    if (question.error) return question;
    const shares = [];
    const share = (rule) => (shares[rule] ??= ruleCover(rule, question.request));
    const [byProfile, byChain] = [profiles, report.chains].map((list) => list.map((profile) => answerProfile(profile, share)));
    const rows = workloads.map((w, index) => {
      const {rules, closed = [], ...found} = answerWorkload(w, byProfile, byChain);
      const statements = unique(rules.map((rule) => report.rules[rule].statement).filter(Boolean));
      return {workload: index, ...found, statements, reason: reasonOf(w, {...found, closed, statements})};
    });
    return {...question, rows};
  }

  // ---------------------------------------------------------------- statements and details
  function values(name, list) {
    if (!list?.length) return [];
    const codes = listOf(list).map((text) => h("code", isolated(text)));
    const box = h("dd", codes.slice(0, 12));
    const rest = codes.slice(12);
    const show = (event) => event.target.replaceWith(...rest);
    if (rest.length) box.append(h("button.more", {type: "button", onclick: show}, "Show " + rest.length + " more"));
    return [h("dt", name), box];
  }
  const facts = (rows) => h("dl.facts", rows.filter(Boolean).map(([name, ...content]) => [h("dt", name), h("dd", content)]));
  function statementRows(name, value) {
    if (name.endsWith("Principal") && typeof value === "object")
      return Object.entries(value).map(([kind, list]) => values(name, listOf(list).map((text) => kind + ": " + text)));
    if (name !== "Condition") return [values(name, value)];
    return Object.entries(value).flatMap(([operator, tests]) =>
      Object.entries(tests).map(([key, list]) => values(name, operator + " " + key + " = " + listOf(list).join(" or "))),
    );
  }
  function statementBlock({label, Effect: effect, ...elements}, owner = "") {
    const head = h("p.statement-head", h("strong.effect", effect), " ", isolated(label), owner && [" of ", isolated(owner)]);
    const kind = effect === "Allow" ? "allow" : "deny";
    const rows = Object.entries(elements).flatMap(([name, value]) => statementRows(name, value));
    return h("div.statement-box." + kind, head, h("dl.statement." + kind, rows));
  }
  const statementBlocks = (places) =>
    (places || []).map(([policy, index]) => statementBlock(policies[policy].statements[index], policies[policy].short));
  function policyDetails(index, label = "") {
    const {name, short, kind, statements} = policies[index];
    const size = h("small", report.labels.policies[kind] + ", " + plural(statements.length, "statement"));
    return lazyDetails([label && label + ": ", isolated(short), " ", size], () => [
      name === short ? "" : h("p.quiet", isolated(name)),
      statements.map((statement) => statementBlock(statement)),
    ]);
  }
  const LIMITS = {boundary: "permissions boundary", session: "session policy"};
  const roleText = ({name, state}) => [isolated(name), {missing: " (does not exist)", unread: " (not read)"}[state] || ""];
  const usedRole = (credential) => roles[credential?.target ?? credential?.role] || {};

  function serviceReasons(w, service) {
    const cell = cellOf(w, service);
    const profile = profiles[w.profile] || {};
    const parts = [];
    if (cell) {
      const hasEffect = (effect) => ([policy, index]) => policies[policy].statements[index].Effect === effect;
      const allowing = cell.statements.filter(hasEffect("Allow"));
      const denying = unique([...cell.statements.filter(hasEffect("Deny")), ...(cell.denied || [])]);
      const time = usedRole(roleCredential(w)).use?.services?.[service];
      const lastUse = time === "" ? "IAM has not recorded a use by the role" : time?.slice(0, 10);
      parts.push(
        cell.service === OTHER && service !== OTHER ? h("p.quiet", "These statements apply to every service.") : "",
        h("dl.facts", values("Resources", cell.resources), values("Depends on", cell.keys), values("Last use", lastUse)),
        allowing.length ? [h("h4", "Statements"), statementBlocks(allowing)] : "",
        denying.length ? [h("h4", "Denied part"), statementBlocks(denying)] : "",
        (cell.limited || []).map((layer) => h("p", "The " + LIMITS[layer] + " does not allow a part of this access.")),
      );
    } else {
      parts.push(h("p", absence(w) || "No statement of its policies gives access to this service."));
    }
    if (profile.unread)
      parts.push(h("p.warning", "Not read, so the access may be wider or narrower: ", joined(profile.unread), "."));
    return parts;
  }

  function credentialCard(credential) {
    const {kind, wins, association, addon, since, usable, why, where, variables} = credential;
    const [role, target] = [roles[credential.role], roles[credential.target]];
    const each = (name, make) => [role, target].flatMap((owner) => (owner?.[name] || []).map((row) => make(row, owner.name)));
    const trust = each("trust", (statement, owner) => () => statementBlock(statement, "the trust policy of " + owner));
    const guests = each("lets_in", (guest, owner) => h("div", isolated(guest.principal), " (" + guest.kind + ") – ", owner));
    const added = addon ? [" of the add-on ", isolated(addon)] : "";
    return h(
      wins ? "div.card.wins" : "div.card",
      h("h4", KINDS[kind] ?? kind, " ", wins ? h("span.tag.good", "used") : h("span.tag", "not used")),
      facts([
        role && ["Role", isolated(role.arn), role.state === "read" ? "" : roleText(role)[1]],
        target && ["Target role", isolated(target.arn)],
        usedRole(credential).use && ["Last use", usedRole(credential).use.why],
        association && ["Association", isolated(association), added, since ? " since " + since.slice(0, 10) : ""],
        credential.session_tags === false && ["Session tags", "off"],
        where && ["Template", isolated(where), " sets ", joined(variables || [])],
        guests.length && ["Also lets in", guests],
        usable && ["Trust", report.labels.usable[usable] || usable, why ? " " + why : ""],
      ]),
      trust.length ? lazyDetails("Trust policy: " + plural(trust.length, "statement"), () => trust.map((make) => make())) : "",
    );
  }
  function identitySection(w) {
    const pods = Object.entries(w.pods || {}).filter(([, count]) => count);
    const counts = pods.map(([kind, count]) => number(count) + " with " + report.labels.pods[kind]);
    return [
      h("h3", "Identity"),
      h("p", w.winner),
      w.exists === false ? h("p.warning", "The service account does not exist.") : "",
      pods.length ? h("p", "Pods now: " + joined(counts) + ".") : "",
      (w.credentials || []).map(credentialCard),
    ];
  }
  const riskDetails = (risk) => [h("dl.facts", values("Permissions", risk.detail)), statementBlocks(risk.statements)];
  function riskItem(risk) {
    const {title, why, remedy} = report.risk_kinds[risk.code];
    const condition = risk.certain ? "" : h("small", " depends on conditions");
    const summary = [h("span.severity." + risk.severity, risk.severity), " ", risk.text, condition];
    const details = () => [h("p", h("strong", title + ". "), why), h("p", h("strong", "Remedy: "), remedy), riskDetails(risk)];
    return h("li", lazyDetails(summary, details));
  }
  function accessSection(w) {
    const profile = profiles[w.profile];
    const parts = [h("h3", "Access")];
    if (absence(w)) parts.push(h("p.warning", absence(w)));
    else if (w.access === "unknown") parts.push(h("p.warning", "The permissions are unknown. The list is for the role alone."));
    else if (w.access === "partial") parts.push(h("p.warning", "Some policies were not read, so the levels are not certain."));
    if (!profile) return parts;
    const names = [...cellsOf(w).values()]
      .filter((cell) => w.access !== "none" && (Object.keys(cell.levels).length || cell.denied))
      .map((cell) => cell.service)
      .sort((a, b) => topRank(levelsOf(w, b)) - topRank(levelsOf(w, a)) || byName(a, b));
    function item(name) {
      const title = h("strong", name === OTHER ? "Every other service" : serviceTitle(name));
      const text = h("small", (name === OTHER ? "" : name + ": ") + levelSentence(levelsOf(w, name)));
      const summary = [chips(levelsOf(w, name)), " ", title, " ", text];
      return h("li", lazyDetails(summary, () => serviceReasons(w, name), names.length === 1));
    }
    parts.push(
      names.length || w.access === "none" ? "" : h("p", "Its policies allow nothing."),
      longList(names, item, 25),
      h("h3", "Policies"),
      profile.policies.map((policy) => policyDetails(policy)),
      Object.keys(LIMITS).map((layer) => (profile[layer] === undefined ? "" : policyDetails(profile[layer], LIMITS[layer]))),
      profile.unread ? h("p.warning", "Not read: ", joined(profile.unread), ".") : "",
    );
    return parts;
  }

  // ---------------------------------------------------------------- dialog
  const dialog = byId("why");
  function openDialog(title, subtitle, content) {
    fill(byId("why-title"), title);
    fill(byId("why-subtitle"), subtitle);
    fill(byId("why-body"), content).scrollTop = 0;
    if (!dialog.open) dialog.showModal();
    byId("why-title").focus();
  }
  dialog.addEventListener("close", () => {
    if (/^#w\d+$/.test(location.hash)) history.replaceState(null, "", location.pathname + location.search);
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  byId("why-close").addEventListener("click", () => dialog.close());

  function subtitleOf(w) {
    const {kind, role, target} = winningCredential(w);
    const source = role === undefined ? sourceTitle(w) : [KINDS[kind] ?? kind, " → role ", roleText(roles[role])];
    const end = target === undefined ? "" : [" → target role ", roleText(roles[target])];
    return [isolated(shortName(w)), " in cluster ", isolated(clusters[w.cluster].name), " → ", source, end];
  }
  function showWorkload(index) {
    const w = workloads[index];
    const found = workloadRisks[index].length ? [h("h3", "Risks"), h("ul.rows", workloadRisks[index].map(riskItem))] : "";
    openDialog(isolated(w.name), subtitleOf(w), [accessSection(w), found, identitySection(w)]);
  }
  function showCell(index, service) {
    const w = workloads[index];
    const levels = levelsOf(w, service);
    openDialog([isolated(w.name), " – " + serviceTitle(service)], subtitleOf(w), [
      h("p.verdict", chips(levels), " ", h("strong", sentence(levelSentence(levels)))),
      serviceReasons(w, service),
      identitySection(w),
      h("p", h("button.plain", {type: "button", onclick: () => showWorkload(index)}, "All access of " + shortName(w))),
    ]);
  }
  // ---------------------------------------------------------------- matrix
  // Rows outside the view are drawn in advance, so that the browser scrolls most frames without this script.
  const [ROW, BUFFER, MARGIN] = [30, 24, 8];
  // With many services, the matrix has columns for some of them, and one for the highest level of the rest.
  const [REST, MAX_COLUMNS, MIN_COLUMNS] = ["rest", 30, 10];
  const matrix = (() => {
    const [scroller, body, table, everyService] = ["matrix-scroll", "matrix-body", "matrix-table", "all-services"].map(byId);
    const controls = Object.fromEntries(
      ["", "-service", "-level", "-source", "-risk"].map((name) => [name.slice(1) || "text", byId("filter" + name)]),
    );
    const opened = new Map();
    let [items, columns, hidden, restLevels] = [[], [], [], {}];
    let [first, last, everything] = [-1, -1, false];
    let [active, reachable] = [{key: "", column: 0}, null];

    // Groups of clusters with groups of namespaces; with a single cluster only the latter.
    const several = clusters.length > 1;
    const groups = new Map();
    function addTo(key, level, index, label, short) {
      const {cluster} = workloads[index];
      if (!groups.has(key)) groups.set(key, {key, cluster, level, label, short, members: [], parent: several && level === 1});
      groups.get(key).members.push(index);
    }
    workloads.forEach((w, index) => {
      const cluster = clusters[w.cluster].key;
      if (several) addTo(cluster, 1, index, cluster, cluster);
      addTo(cluster + "/" + w.namespace, several ? 2 : 1, index, (several ? cluster + " " : "") + w.namespace, w.namespace);
    });
    const ordered = [...groups.values()].sort((a, b) => a.cluster - b.cluster || a.level - b.level || a.members[0] - b.members[0]);

    // A service is important if many workloads have access to it whose policies name few services.
    const weights = new Map();
    for (const cells of workloads.map(cellsOf).filter(({size}) => size <= MAX_COLUMNS))
      for (const name of cells.keys()) weights.set(name, (weights.get(name) || 0) + 1 / cells.size ** 2);
    function pickColumns(candidates) {
      const few = candidates.length <= MAX_COLUMNS + 5;
      byId("all-services-box").hidden = few;
      const order = candidates.filter((name) => name !== OTHER).sort((a, b) => (weights.get(b) || 0) - (weights.get(a) || 0));
      const important = order.filter((name) => weights.has(name));
      const shown = new Set(order.slice(0, Math.max(MIN_COLUMNS, Math.min(MAX_COLUMNS, important.length))));
      hidden = few || everyService.checked ? [] : candidates.filter((name) => !shown.has(name));
      columns = hidden.length ? [...candidates.filter((name) => shown.has(name)), REST] : candidates;
      restLevels = {};
    }
    function levelsAt(index, column) {
      const w = workloads[index];
      if (column !== REST) return levelsOf(w, column);
      return (restLevels[knowledge(w)] ??= highest(hidden.map((name) => levelsOf(w, name))));
    }
    const columnTitle = (column) => (column === REST ? number(hidden.length) + " further services" : serviceTitle(column));
    const columnLabel = (column) => (column === REST ? number(hidden.length) + " more" : column === OTHER ? "others" : column);
    const haystack = workloads.map((w) => {
      const used = (w.credentials || []).flatMap((credential) => [roles[credential.role], roles[credential.target]]);
      return [w.name, sourceTitle(w), ...used.map((role) => role?.name)].join(" ").toLowerCase();
    });
    function accepted(index) {
      const w = workloads[index];
      const {text, service, level, source, risk} = controls;
      if (!text.value.toLowerCase().split(/\s+/).every((word) => haystack[index].includes(word))) return false;
      if (source.value && w.source !== source.value) return false;
      const severities = SEVERITIES.slice(0, SEVERITIES.indexOf(risk.value) + 1);
      if (severities.length && !severities.includes(worstRisk(index))) return false;
      if (!service.value && !level.value) return true;
      return (service.value ? [service.value] : [...cellsOf(w).keys()]).some((name) => {
        const {certain, open, blind} = levelsOf(w, name);
        const letters = [...certain, ...open];
        if (!letters.length) return blind && service.value !== "";
        return letters.some((letter) => letter === "U" || rank(letter) >= rank(level.value));
      });
    }

    function rebuild() {
      const members = new Set([...workloads.keys()].filter(accepted));
      const isFiltered = Object.values(controls).some((control) => control.value.trim());
      const used = new Set([...members].flatMap((index) => [...cellsOf(workloads[index]).keys()]));
      const limited = isFiltered && used.size && !used.has(OTHER) ? services.filter((name) => used.has(name)) : services;
      pickColumns(controls.service.value ? [controls.service.value] : limited);
      const opensAll = workloads.length <= 150 || (isFiltered && members.size <= 300);
      let closed = false;
      items = [];
      for (const group of ordered) {
        const item = {...group, kind: "group", members: group.members.filter((index) => members.has(index))};
        if (item.level === 1) closed = false;
        if (!item.members.length || closed) continue;
        item.open = opened.get(item.key) ?? (opensAll || item.parent);
        items.push(item);
        if (item.parent) closed = !item.open;
        else if (item.open)
          items.push(...item.members.map((index) => ({kind: "workload", key: "w" + index, index, level: item.level + 1})));
      }
      const all = plural(workloads.length, "workload");
      byId("matrix-count").textContent = members.size === workloads.length ? all : number(members.size) + " of " + all;
      byId("matrix-empty").hidden = members.size > 0;
      append(table, [{hidden: !members.size, "aria-rowcount": items.length + 1, "aria-colcount": columns.length + 1}]);
      if (!items.some((item) => item.key === active.key)) active = {key: items[0]?.key || "", column: 0};
      active.column = Math.min(active.column, columns.length);
      drawHead();
      first = -1;
      draw();
    }
    function drawHead() {
      const heading = (title, index) => ({scope: "col", role: "columnheader", title, "aria-label": title, "aria-colindex": index});
      const name = h("th.name", heading("Workload", 1), "Workload");
      const cell = (column, index) => h("th.service", heading(columnTitle(column), index + 2), h("span", columnLabel(column)));
      fill(byId("matrix-head"), h("tr", {role: "row", "aria-rowindex": 1}, name, columns.map(cell)));
      const longest = Math.max(...columns.map((column) => columnLabel(column).length));
      table.style.setProperty("--columns", columns.length);
      table.style.setProperty("--head", Math.min(14, 1.2 + longest * 0.5) + "rem");
    }
    function groupName({open, label, short, members}) {
      const arrow = h("span.arrow", {"aria-hidden": "true"}, open ? "▾" : "▸");
      const title = label + ": " + plural(members.length, "workload");
      return [{"aria-expanded": open, title}, arrow, isolated(short), " ", h("small", number(members.length))];
    }
    function workloadTags({index}) {
      const w = workloads[index];
      const worst = worstRisk(index);
      const tags = [w.source !== "pod_identity" && sourceTitle(w), {partial: "partly read", blocked: "blocked"}[w.access]];
      const risk = worst ? h("span.severity." + worst, {"aria-label": worst + " risk"}, worst) : "";
      const title = w.name + ". " + (w.winner || "");
      return [{title}, isolated(w.service_account), h("span.tags", risk, tags.filter(Boolean).map((text) => h("span.tag", text)))];
    }
    function row(item, position) {
      const isGroup = item.kind === "group";
      const places = {"aria-rowindex": position + 2, "aria-level": item.level};
      const tr = h("tr." + item.kind + ".depth" + item.level, {role: "row", ...places});
      tr.dataset.key = item.key;
      const head = {scope: "row", role: "rowheader", "aria-colindex": 1, tabIndex: -1};
      tr.append(h("th.name", head, isGroup ? groupName(item) : workloadTags(item)));
      columns.forEach((column, index) => {
        let levels = isGroup ? highest(item.members.map((member) => levelsAt(member, column))) : levelsAt(item.index, column);
        if (isGroup) levels = {...levels, blocked: [], blind: levels.blind && !topRank({...levels, blocked: []})};
        // The cells of an open group are empty, because its rows follow.
        const [text, className] = isGroup && item.open ? ["", "nothing"] : face(levels);
        const name = isGroup ? item.label : workloads[item.index].name;
        const label = name + ", " + columnTitle(column) + ": " + (isGroup ? "highest: " : "") + levelSentence(levels);
        const place = {role: "gridcell", tabIndex: -1, "aria-colindex": index + 2};
        tr.append(h("td", {className, title: label, "aria-label": label, ...place}, text));
      });
      return tr;
    }

    // Rows outside the view are not in the document. Two spacers have their height.
    const spacers = [0, 1].map(() => h("tr.spacer", {role: "presentation"}, h("td", {role: "presentation"})));
    body.replaceChildren(...spacers);
    function resize(spacer, count) {
      spacer.hidden = count === 0;
      spacer.firstChild.colSpan = columns.length + 1;
      spacer.firstChild.style.height = count * ROW + "px";
    }
    const rows = (start, end) => items.slice(start, end).map((item, index) => row(item, start + index));
    function draw() {
      const top = Math.floor(scroller.scrollTop / ROW);
      const bottom = Math.ceil((scroller.scrollTop + (scroller.clientHeight || 600)) / ROW);
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
        spacers[0].after(...rows(start, end));
      } else {
        for (; first < start; first++) spacers[0].nextSibling.remove();
        for (; last > end; last--) spacers[1].previousSibling.remove();
        if (start < first) spacers[0].after(...rows(start, first));
        if (end > last) spacers[1].before(...rows(last, end));
      }
      [first, last] = [start, end];
      reach();
      if (inside && !scroller.contains(document.activeElement)) (activeCell() || scroller).focus({preventScroll: true});
    }
    // One cell can be reached with the Tab key: the active one, or the first one while the active one is not in the document.
    function reach() {
      if (reachable) reachable.tabIndex = -1;
      reachable = activeCell() || (items.length ? spacers[0].nextSibling.firstChild : null);
      if (reachable) reachable.tabIndex = 0;
    }
    const activeCell = () => [...body.children].find((tr) => tr.dataset.key === active.key)?.children[active.column];
    function moveTo(position, column) {
      const index = Math.max(0, Math.min(items.length - 1, position));
      active = {key: items[index].key, column: Math.max(0, Math.min(columns.length, column))};
      const height = scroller.clientHeight - byId("matrix-head").offsetHeight - ROW;
      scroller.scrollTop = Math.max(index * ROW - height, Math.min(index * ROW, scroller.scrollTop));
      draw();
      reach();
      reachable.focus({preventScroll: true});
      const left = reachable.offsetLeft - body.querySelector("th.name").offsetWidth;
      const right = reachable.offsetLeft + reachable.offsetWidth - scroller.clientWidth;
      if (active.column) scroller.scrollLeft = Math.min(left, Math.max(right, scroller.scrollLeft));
    }
    function activate(item, column) {
      const name = columns[column - 1];
      if (item.kind === "workload") return name && name !== REST ? showCell(item.index, name) : showWorkload(item.index);
      opened.set(item.key, !item.open);
      rebuild();
      activeCell()?.focus({preventScroll: true});
    }
    body.addEventListener("click", ({target}) => {
      const cell = target.closest("td, th");
      const position = items.findIndex((item) => item.key === cell?.parentNode.dataset.key);
      if (position < 0) return;
      moveTo(position, [...cell.parentNode.children].indexOf(cell));
      activate(items[position], active.column);
    });
    scroller.addEventListener("keydown", (event) => {
      if (event.altKey || event.metaKey || !items.length) return;
      const position = Math.max(0, items.findIndex((item) => item.key === active.key));
      const page = Math.max(1, Math.floor(scroller.clientHeight / ROW) - 6);
      const item = items[position];
      const moves = {
        ArrowDown: [position + 1, active.column],
        ArrowUp: [position - 1, active.column],
        ArrowRight: [position, active.column + 1],
        ArrowLeft: [position, active.column - 1],
        PageDown: [position + page, active.column],
        PageUp: [position - page, active.column],
        Home: [event.ctrlKey ? 0 : position, 0],
        End: [event.ctrlKey ? items.length - 1 : position, columns.length],
      };
      // In the first column the arrows to the sides open and close a group.
      const sideways = {ArrowRight: true, ArrowLeft: false}[event.key];
      const turns = item.kind === "group" && active.column === 0 && sideways !== undefined && item.open !== sideways;
      if (turns || event.key === "Enter" || event.key === " ") activate(item, active.column);
      else if (moves[event.key]) moveTo(...moves[event.key]);
      else return;
      event.preventDefault();
    });
    scroller.addEventListener("scroll", () => requestAnimationFrame(draw), {passive: true});
    new ResizeObserver(draw).observe(scroller);
    function setAll(state) {
      for (const group of ordered) opened.set(group.key, state || Boolean(group.parent));
      rebuild();
    }
    function restart() {
      scroller.scrollTop = 0;
      rebuild();
    }
    for (const control of [...Object.values(controls), everyService]) control.addEventListener("input", restart);
    byId("expand").addEventListener("click", () => setAll(true));
    byId("collapse").addEventListener("click", () => setAll(false));
    byId("clear").addEventListener("click", () => {
      for (const control of Object.values(controls)) control.value = "";
      rebuild();
      controls.text.focus();
    });
    const option = (value, text) => h("option", {value}, text);
    controls.service.append(...services.map((name) => option(name, name === OTHER ? "others" : name)));
    const sources = Object.keys(SOURCES).filter((source) => workloads.some((w) => w.source === source));
    controls.source.append(...sources.map((source) => option(source, SOURCES[source])));
    return {
      rebuild,
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

  // ---------------------------------------------------------------- forms
  const [actionField, resourceField, nameField, result, status] =
    ["who-action", "who-resource", "what-name", "who-result", "who-status"].map(byId);
  // The names of all actions by service, with their spelling by the name in lower case; null if the page does not have them.
  let knownActions;
  async function readActions() {
    const packed = await readData("action-names");
    const found = new Map();
    for (const [service, names] of Object.entries(packed || {})) {
      found.set(service, new Map(names.map((name) => [name.toLowerCase(), service + ":" + name])));
    }
    return packed && found;
  }
  // Return the candidate with the most characters in common with a text at its start and end, at least half of the text.
  function nearest(text, candidates) {
    const common = (a, b) => Array.from(a).findIndex((character, index) => character !== b[index]);
    const reverse = (word) => Array.from(word).reverse().join("");
    const score = (word) => common(text + " ", word + "!") + common(reverse(text) + " ", reverse(word) + "!");
    const scored = [...candidates].map((word) => [score(word) - Math.abs(word.length - text.length), word]);
    const [best] = scored.sort(([a], [b]) => b - a);
    return best && best[0] > text.length / 2 ? best[1] : null;
  }
  // Return a note about an action that does not exist, or "".
  async function actionNote(action) {
    const known = await (knownActions ??= readActions());
    if (!known) return byId("no-names").content.cloneNode(true);
    const [service, name] = action === "*" ? ["*", "*"] : action.toLowerCase().split(":");
    const find = (text, names) => [...names].filter((candidate) => matches(parseQuery(text), Array.from(candidate)));
    const found = find(service, known.keys());
    if (found.some((key) => find(name, known.get(key).keys()).length)) return "";
    const code = h("code", action);
    if (/[*?]/.test(action)) return h("p.warning", code, " matches no action that the collection knows.");
    const near = found[0] || nearest(service, known.keys());
    const hint = near && known.get(near).get(nearest(name, known.get(near).keys()));
    const query = new URLSearchParams({action: hint, resource: resourceField.value});
    const end = hint ? ["; did you mean ", h("a", {href: "#who?" + query}, hint), "?"] : ".";
    return h("p.warning", code, " is not an action that the collection knows", end);
  }

  function ask() {
    for (const node of [status, result]) fill(node);
    for (const field of [actionField, resourceField]) field.removeAttribute("aria-invalid");
    const [action, resource] = [actionField.value.trim(), resourceField.value.trim()];
    if (!action && !resource) return;
    const found = answer(action, resource);
    if (found.error) {
      (found.field === "action" ? actionField : resourceField).setAttribute("aria-invalid", "true");
      fill(status, found.error);
      return;
    }
    const groups = ANSWERS.map((word) => [word, found.rows.filter((row) => row.answer === word)]);
    const counts = groups.map(([word, rows]) => [h("strong.decision." + word, number(rows.length) + " " + word), " "]);
    const target = found.resource === "*" ? "any resource" : h("code", isolated(found.resource));
    const line = h("p", h("code", found.name), " on ", target, ": ", counts);
    fill(status, line);
    actionNote(found.name).then((note) => line.isConnected && append(status, [note]));
    result.append(byId("who-unread").content.cloneNode(true));
    for (const [word, rows] of groups.filter(([, list]) => list.length)) {
      const isOpen = word !== "no" && (word !== "unknown" || rows.length <= 10);
      const summary = [h("span.decision." + word, sentence(word).slice(0, -1)), " ", h("small", plural(rows.length, "workload"))];
      result.append(lazyDetails(summary, () => longList(rows, answerRow), isOpen, "answer"));
    }
    history.replaceState(null, "", "#who?" + new URLSearchParams({action, resource}));
  }
  function answerRow({workload, reason, statements}) {
    const line = [workloadLink(workload), " ", h("small", sourceTitle(workloads[workload])), " ", h("span.reason", reason), " "];
    return h("li.answer-head", line, statements.length ? lazyDetails("Why", () => statementBlocks(statements), false, "why") : "");
  }
  let timer = 0;
  function askLater(delay) {
    clearTimeout(timer);
    timer = setTimeout(ask, delay);
  }
  for (const field of [actionField, resourceField]) field.addEventListener("input", () => askLater(250));
  byId("who").addEventListener("submit", (event) => {
    event.preventDefault();
    askLater(0);
  });
  for (const button of document.querySelectorAll("[data-action]"))
    button.addEventListener("click", () => {
      actionField.value = button.dataset.action;
      append(resourceField, [{placeholder: button.dataset.example, value: ""}]);
      ask();
      resourceField.focus();
    });
  const names = workloads.map((w) => w.name);
  nameField.addEventListener("focus", () => byId("names").append(...names.map((value) => h("option", {value}))), {once: true});
  byId("what").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = nameField.value.trim().toLowerCase();
    const exact = names.findIndex((name) => (" " + name.toLowerCase()).endsWith(" " + text));
    const index = exact < 0 ? names.findIndex((name) => name.toLowerCase().includes(text)) : exact;
    byId("what-status").textContent = index < 0 ? "No workload has this name." : "";
    if (text && index >= 0) showWorkload(index);
  });

  // ---------------------------------------------------------------- risks, links, print
  // The lists of risks are part of the page, so that they work without this script. Show the statements of a risk after a click.
  for (const item of document.querySelectorAll("li[data-risk]")) {
    const risk = risks[Number(item.dataset.risk)];
    const hasDetails = risk.statements?.length || risk.detail?.length;
    if (hasDetails) item.append(lazyDetails("Statements", () => riskDetails(risk), false, "why"));
  }

  // The style makes blocks of the rows of the table, and some browsers then need the roles of the elements.
  const TABLE_ROLES = {table: "table", thead: "rowgroup", tbody: "rowgroup", tr: "row", td: "cell"};
  for (const node of document.querySelectorAll(".plain-table, .plain-table *")) {
    const role = node.localName === "th" ? (node.scope === "col" ? "columnheader" : "rowheader") : TABLE_ROLES[node.localName];
    if (role) node.setAttribute("role", role);
  }

  function follow() {
    const hash = location.hash.slice(1);
    const workload = /^w(\d+)$/.exec(hash)?.[1];
    if (workloads[workload]) {
      showWorkload(Number(workload));
    } else if (hash.startsWith("who?")) {
      const parameters = new URLSearchParams(hash.slice(4));
      actionField.value = parameters.get("action") || "";
      resourceField.value = parameters.get("resource") || "";
      ask();
      byId("questions").scrollIntoView();
    } else if (hash) {
      const target = byId(decodeURIComponent(hash));
      if (!document.documentElement.classList.contains("ready")) target?.scrollIntoView();
      for (let node = target; node; node = node.parentElement) if (node.localName === "details") node.open = true;
    }
  }
  document.addEventListener("click", (event) => {
    const hash = event.target.closest("a[href^='#w']")?.getAttribute("href");
    if (!/^#w(\d+|ho\?.*)$/.test(hash) || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    history.replaceState(null, "", hash);
    follow();
  });
  window.addEventListener("hashchange", follow);

  let printed = [];
  function preparePrint(state) {
    if (state) printed = [...document.querySelectorAll("main details:not([open])")].filter((node) => !result.contains(node));
    for (const details of printed) details.open = state;
    matrix.print(state);
  }
  window.addEventListener("beforeprint", () => preparePrint(true));
  window.addEventListener("afterprint", () => preparePrint(false));

  document.documentElement.classList.add("script");
  matrix.rebuild();
  follow();
  document.documentElement.classList.add("ready");
  // Answer a question for all workloads. Return the parsed question, and rows with answer, keys, reason and statements.
  globalThis.accessReport = Object.freeze({answer});
})();
