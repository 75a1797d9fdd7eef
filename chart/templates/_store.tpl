{{/* The variables of the store that are not its defaults. */}}
{{- define "sluice.storeEnv" -}}
{{- with .Values.store.filesUrl }}
- name: SLUICE_STORE_FILES_URL
  value: {{ . | quote }}
{{- end }}
{{- with .Values.store.databaseSecret }}
- name: SLUICE_STORE_DATABASE_URL # it has the password
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: url
{{- end }}
{{- range $name, $value := .Values.store.settings }}
- name: {{ $name }}
  value: {{ include "sluice.text" $value | quote }}
{{- end }}
{{- end }}
