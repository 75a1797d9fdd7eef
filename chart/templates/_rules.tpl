{{/* What the operator may do in the namespaces that it watches. */}}
{{- define "sluice.rules" -}}
# What people write, and what the operator answers. It never changes a spec.
- apiGroups: [sluice.dev]
  resources: [modeldeployments]
  verbs: [get, list, watch]
- apiGroups: [sluice.dev]
  resources: [modeldeployments/status]
  verbs: [update]
# Owner references that block deletion need this where the API server enforces it (OpenShift does).
- apiGroups: [sluice.dev]
  resources: [modeldeployments/finalizers]
  verbs: [update]
# What a ModelDeployment owns.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [patch]
- apiGroups: [batch] # only with a store: SLUICE_STORE_URL
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy] # of revisions with two pods or more
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
# The key that signs prediction ids, and the token for the store: made once, never changed. RBAC cannot restrict the names of what is created.
# And the credentials that an object names for its Prometheus or its registry: read by that name.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create]
# Records of runs: made once, and changed only to add the counts and the mark that the store has them; the oldest go. And the address of the registry, which can change.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, create, patch, delete]
# Evidence: crashes and their reasons, and the endpoints that prove a swap.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- if .Values.watch.namespaceLabels }}
# Whose labels say which of them are this operator's.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list]
{{- end }}
{{- end }}

{{/* The Lease that says which of the operators works. RBAC cannot restrict the names of what is created. */}}
{{- define "sluice.leaseRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "sluice.lease" . }}]
  verbs: [get, update]
{{- end }}

{{/* A binding to the operator's account. Arguments: (list . "ClusterRole"), (list . "Role" "its namespace") */}}
{{- define "sluice.binding" -}}
{{- $root := index . 0 -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ index . 1 }}Binding
metadata:
  name: {{ include "sluice.operator" $root }}
  {{- if eq (len .) 3 }}
  namespace: {{ index . 2 }}
  {{- end }}
  labels: {{- include "sluice.labels" (list $root "sluice-operator") | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ index . 1 }}
  name: {{ include "sluice.operator" $root }}
subjects:
- kind: ServiceAccount
  name: {{ include "sluice.operator" $root }}
  namespace: {{ $root.Release.Namespace }}
{{- end }}
