# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Names that the input can no longer contain, each with its replacement as the end of a message: a clause with a full stop."""

from __future__ import annotations

from collections.abc import Mapping

# Variables of the role and the playbooks, by name without the prefix ``pod_identity_``.
REMOVED_VARIABLES: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *("usage_days", "usage_file", "usage_form", "usage_from", "usage_generalise"),
            *("usage_keep_unseen", "usage_requests", "usage_services"),
        ),
        "use pod_identity_audit_unused_days, and see docs/audit.md for a policy from IAM Access Analyzer.",
    ),
    "verify_only": "run workload_identity.aws.verify with the same pod_identity_hosts.",
    "expected": "set pod_identity_hosts: the report fails if a host of this pattern did not report.",
    "report_max_age": "leave out old report files.",
    "fleet_workloads": 'join lists in group variables: pod_identity_workloads: "{{ common_workloads + team_workloads }}".',
    "annotated": "list the service accounts in pod_identity_workloads, by name, pattern or label selector.",
    "audit_csv": "list the file in pod_identity_audit_file, with the suffix .csv.",
    "audit_json": "list the file in pod_identity_audit_file, with the suffix .json.",
    "artifact": "leave it out: the report is shortened for more than 200 workloads.",
    "assume_role_duration": "leave it out: a session of one hour is renewed as long as the run takes.",
    "assume_role_session_name": "leave it out: the session is named workload-identity.",
    "check_caller": "leave it out: a request that AWS denies fails with its action and the remedy.",
    "concurrency": "leave it out: a run sends fewer requests at once while AWS limits them.",
    "endpoint_url": "set the environment variable AWS_ENDPOINT_URL.",
    "export_namespaces": "use the option namespaces of the module eks_pod_identity_workloads_info.",
    "export_overwrite": "delete the file, or set pod_identity_export_file to another one.",
    "force_conflicts": "use pod_identity_force, which also overwrites labels and annotations of other field managers.",
    "injection_timeout": "leave it out: the probes take at most 60 seconds.",
    "migration_file": "use pod_identity_report_file.",
    "migration_namespaces": "use pod_identity_migration_service_accounts, with * for the names.",
    "migration_selector": "use pod_identity_migration_service_accounts.",
    "migration_state": "set pod_identity_migration_step to rollback.",
    "probe_annotations": "use pod_identity_proof_pod with the key metadata.annotations.",
    "probe_labels": "use pod_identity_proof_pod with the key metadata.labels.",
    "proof_pod_spec": "use pod_identity_proof_pod with the key spec.",
    "proof_resources": "use pod_identity_proof_pod with the key spec.containers[0].resources.",
    "proof_timeout": "leave it out: the proof takes at most 120 seconds.",
    "propagation_timeout": "leave it out: a run waits at most 60 seconds for a change to appear.",
    "purge_all": "leave it out: to remove the last workloads, list them with pod_identity_state: absent.",
    "purge_namespaces": "use pod_identity_owner, which limits a purge to the workloads of one list.",
    "restart_settle": "leave it out: a restart waits until an association is 15 seconds old.",
    "trust_policy_size_limit": "leave it out: the run reads the quota of your account if a trust policy exceeds the default.",
    "verify_cluster": "leave it out: every run checks that the Kubernetes API belongs to the cluster.",
    "verify_injection": "set pod_identity_verify_pods to false to leave out the probe and the check of running Pods.",
}
# Keys of workloads and of other mappings in the input.
REMOVED_KEYS: Mapping[str, str] = {
    "addon": "leave it out to give the service account its own association, or give the add-on its role with the module "
    "eks_addon_pod_identity.",
    "assume_role_duration": REMOVED_VARIABLES["assume_role_duration"],
    "assume_role_session_name": REMOVED_VARIABLES["assume_role_session_name"],
}
# Options of modules.
REMOVED_OPTIONS: Mapping[str, str] = {
    "clusters": "run the module once for each cluster, or workload_identity.aws.fleet, in which the clusters are hosts.",
}
