# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded Kubernetes API server: an emulation that stores objects but does not run containers.

It serves the kinds in ``resources.py`` to kubernetes.core and the Python client, with the messages of a real API
server. Differences from a real cluster:

- Containers never run: there is no kubelet, and tests write the status of Pods. A deleted Pod is removed at once.
  The option --controllers enables the few emulated controllers and the scheduler, which are in ``controllers.py``,
  ``rollouts.py`` and ``scheduling.py``. Their Pods are running and ready at once, except the Pods of Jobs.
- Types of fields, unknown fields and changes of immutable fields are not checked.
- Lists always show the current state. Deletion always collects dependents in the background.
- Bindings may grant permissions that their author lacks, and cluster roles are not aggregated.
- The only effective EKS access policy is AmazonEKSClusterAdminPolicy for the whole cluster, and the ConfigMap
  aws-auth is ignored. The API accepts the tokens of one cluster.
- Admission policies are stored but not evaluated. The only webhook is the EKS Pod Identity webhook.
- Requests are JSON (applied configurations also YAML), responses are JSON. Protobuf, tables, OpenAPI documents and
  aggregated discovery are missing, so kubectl is not supported.
- Watches, PUT requests, deletions of collections, JSON patches, strategic merge patches, reviews, impersonation,
  CustomResourceDefinitions, other kinds, and the subresources log, exec, eviction, scale and token are missing.
"""
