{{/* Names. A release `sluice` has sluice-operator, as the plain manifests have; `sluice-a` and `a` have sluice-operator-a. */}}
{{- define "sluice.suffix" -}}
{{- if ne .Release.Name "sluice" }}-{{ trimPrefix "sluice-" .Release.Name }}{{ end -}}
{{- end }}

{{- define "sluice.operator" -}}
sluice-operator{{ include "sluice.suffix" . }}
{{- end }}

{{- define "sluice.store" -}}
sluice-store{{ include "sluice.suffix" . }}
{{- end }}

{{- define "sluice.web" -}}
sluice-web{{ include "sluice.suffix" . }}
{{- end }}

{{- define "sluice.lease" -}}
sluice-leader{{ include "sluice.suffix" . }}
{{- end }}

{{/* The labels of the pods of a component; all that selects pods uses these. Argument: (list . "sluice-operator") */}}
{{- define "sluice.podLabels" -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end }}

{{/* The labels of an object. Argument: as above */}}
{{- define "sluice.labels" -}}
{{ include "sluice.podLabels" . }}
app.kubernetes.io/part-of: sluice
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
{{- end }}

{{/* The selector of a Deployment can never change. Plain manifests have had no instance in it since 0.1.0. */}}
{{- define "sluice.selector" -}}
app.kubernetes.io/name: {{ index . 1 }}
{{- if ne (index . 0).Release.Name "sluice" }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end }}
{{- end }}

{{/* The image of a component. Argument: (list . "operator") */}}
{{- define "sluice.image" -}}
{{- $images := (index . 0).Values.images -}}
{{- $tag := $images.tag | default (index . 0).Chart.AppVersion -}}
{{- get $images (index . 1) | default (printf "%s/sluice-%s:%s" (trimSuffix "/" $images.registry) (index . 1) $tag) -}}
{{- end }}

{{- define "sluice.pullSecrets" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* Where the pods of a component may run. Argument: its values */}}
{{- define "sluice.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 0 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* What PodSecurity `restricted` asks of a pod and of a container. */}}
{{- define "sluice.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "sluice.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Labels as a selector: a=b,c=d */}}
{{- define "sluice.labelSelector" -}}
{{- $pairs := list -}}
{{- range $key, $value := . }}{{ $pairs = append $pairs (printf "%s=%s" $key $value) }}{{ end -}}
{{- join "," $pairs -}}
{{- end }}

{{/* What is watched, as an annotation on the role: other installs read it. */}}
{{- define "sluice.watches" -}}
sluice.dev/watches: {{ .Values.watch | toJson | squote }}
{{- end }}

{{- define "sluice.storeUrl" -}}
http://{{ include "sluice.store" . }}.{{ .Release.Namespace }}.svc:8090
{{- end }}

{{/* Whether the store needs a volume: for models, or for SQLite. Empty: no */}}
{{- define "sluice.storeHasVolume" -}}
{{- if or (not .Values.store.filesUrl) (not .Values.store.databaseSecret) }}yes{{ end -}}
{{- end }}

{{/* A number or a word as text. Numbers of a file of values are floating, and 7776000 would become 7.776e+06. */}}
{{- define "sluice.text" -}}
{{- if kindIs "float64" . }}{{ if eq (floor .) . }}{{ int64 . }}{{ else }}{{ . }}{{ end }}{{ else }}{{ . }}{{ end -}}
{{- end }}
