# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded Kubernetes API: a small emulator that stores objects and runs nothing.

It answers what kubernetes.core and the Python client ask about the kinds in ``resources.py``, in
the words of a real API server. What it does not do, and a real cluster does:

- Pods never run: no scheduler, no kubelet, and of controllers only those of ``controllers.py``, on
  request. Status is what a test writes to the status subresource, logs are what it stages. A deleted Pod goes
  at once, unless it is told how long its end takes.
- Schemas are known where they matter here. Unknown fields are noticed at the top of an object and
  in its metadata; deeper ones are kept.
- Bindings may grant more than their author has, cluster roles are not aggregated, and tokens of
  service accounts open nothing.
- Of EKS's access policies only AmazonEKSClusterAdminPolicy for the whole cluster allows anything, the
  ConfigMap aws-auth maps nobody, and all clusters of the embedded AWS share this API: it takes tokens
  for the cluster that it was started for.
- Admission policies are stored and not evaluated, and of webhooks only EKS's for Pods is there.
- Objects are JSON, requests also YAML. There is no protobuf, no table, no OpenAPI document and no
  aggregated discovery; kubectl, which uses them, is not a supported client.
- There is no CustomResourceDefinition, and no kind beside those listed.
"""
