{{/* What is wrong with the values, a line each. Empty: nothing. The schema has checked their types before. */}}
{{- define "sluice.problems" -}}
{{- include "sluice.longName" . }}
{{- include "sluice.missing" . }}
{{- include "sluice.badAddresses" . }}
{{- include "sluice.badWatch" . }}
{{- include "sluice.badStore" . }}
{{- include "sluice.badMonitoring" . }}
{{- include "sluice.absent" . }}
{{- if .Values.checks.otherInstalls }}{{ include "sluice.otherInstalls" . }}{{ end }}
{{- end }}

{{- define "sluice.longName" -}}
{{- $longest := include "sluice.operator" . -}}
{{- if gt (len $longest) 63 }}
- the release name is {{ sub (len $longest) 63 }} characters too long: its Service would be {{ $longest }}, and Kubernetes takes 63. Install it under a shorter name
{{- end }}
{{- end }}

{{- define "sluice.missing" -}}
{{- $images := .Values.images -}}
{{- $named := list "operator" "server" -}}
{{- if .Values.store.enabled }}{{ $named = append $named "store" }}{{ end -}}
{{- range $named }}
{{- if not (or $images.registry (get $images .)) }}
- images.registry is not set, and nor is images.{{ . }}: write where your images are, such as registry.example.com/team
{{- end }}
{{- end }}
{{- if not .Values.mlflow.url }}
- mlflow.url is not set: write the address of MLflow, such as http://mlflow.mlflow.svc:5000
{{- end }}
{{- if not .Values.prometheus.url }}
- prometheus.url is not set: write the address of Prometheus, such as http://prometheus.monitoring.svc:9090
{{- end }}
{{- if not .Values.gateway.address }}
- gateway.address is not set: write how pods reach the gateway, such as http://ingress-nginx-controller.ingress-nginx.svc
{{- end }}
{{- end }}

{{- define "sluice.badAddresses" -}}
{{- $label := "[A-Za-z0-9_-]{1,63}" -}}
{{- $host := printf "(%s(\\.%s)*\\.?|\\[[0-9A-Fa-f:.]+\\])" $label $label -}}
{{- $port := "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]" -}}
{{- $form := printf "^https?://%s(:(%s))?(/[A-Za-z0-9._~/-]*)?$" $host $port -}}
{{- $addresses := dict "mlflow.url" .Values.mlflow.url "prometheus.url" .Values.prometheus.url "gateway.address" .Values.gateway.address -}}
{{- range $name, $address := $addresses }}
{{- if and $address (not (regexMatch $form $address)) }}
- {{ $name }} is {{ regexReplaceAll "//[^/]*@" $address "//***@" | quote }}: write http:// or https://, a host (between its dots are 1 to 63 characters), no port or one up to 65535, and no user or password: these go into a Secret
{{- end }}
{{- end }}
{{- end }}

{{- define "sluice.badWatch" -}}
{{- if and .Values.watch.namespaces .Values.watch.namespaceLabels }}
- watch.namespaces and watch.namespaceLabels are both set: one names namespaces, the other labels of namespaces. Leave one out
{{- end }}
{{- end }}

{{- define "sluice.badStore" -}}
{{- $store := .Values.store -}}
{{- if $store.enabled }}
{{- if and (include "sluice.storeHasVolume" .) (gt (int $store.replicas) 1) }}
- store.replicas is {{ $store.replicas }}, but {{ if $store.filesUrl }}SQLite{{ else }}a volume{{ end }} is for one pod: set it to 1, or set both store.filesUrl (an object store) and store.databaseSecret (PostgreSQL)
{{- end }}
{{- if hasKey .Values.settings "SLUICE_STORE_URL" }}
- settings.SLUICE_STORE_URL is set and so is store.enabled: leave the address out to use the chart's store, or set store.enabled=false to use the other one
{{- end }}
{{- end }}
{{- end }}

{{- define "sluice.badMonitoring" -}}
{{- if and (eq .Values.alerts.kind "PrometheusRule") (not (.Capabilities.APIVersions.Has "monitoring.coreos.com/v1/PrometheusRule")) }}
- alerts.kind is PrometheusRule, but this cluster knows none: install the Prometheus Operator first, or set alerts.kind=ConfigMap and name its files in rule_files of your Prometheus. For helm template without a cluster, add --api-versions monitoring.coreos.com/v1/PrometheusRule
{{- end }}
{{- if eq .Values.monitoring.kind "ServiceMonitor" }}
{{- range list "ServiceMonitor" "PodMonitor" }}
{{- if not ($.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" .)) }}
- monitoring.kind is ServiceMonitor, but this cluster knows no {{ . }}: install the Prometheus Operator first, or set monitoring.kind=None and write the scrape job yourself (docs/prometheus.md). For helm template without a cluster, add --api-versions monitoring.coreos.com/v1/{{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* What the cluster must have before. Nothing is asked where there is no cluster, or its namespace is only made now. */}}
{{- define "sluice.absent" -}}
{{- if lookup "v1" "ConfigMap" .Release.Namespace "kube-root-ca.crt" }}
{{- if and .Values.store.enabled (not (lookup "v1" "Secret" .Release.Namespace .Values.store.keySecret)) }}
- the store needs the Secret {{ .Values.store.keySecret }}, which is not there. Make it first: kubectl create secret generic {{ .Values.store.keySecret }} -n {{ .Release.Namespace }} --from-literal=key="$(openssl rand -hex 32)"
{{- end }}
{{- range .Values.watch.namespaces }}
{{- if not (lookup "v1" "Namespace" "" .) }}
- watch.namespaces lists {{ . }}, which is not there. Make it first: kubectl create namespace {{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "sluice.check" -}}
{{- with include "sluice.problems" . | trim }}
{{- fail (printf "\n\nThese values cannot be used:\n%s\n" .) }}
{{- end }}
{{- end }}
