{{/* What the pod of the operator has, and the pod of `helm test` that asks what the operator asks. */}}
{{- define "sluice.operatorEnv" -}}
- name: SLUICE_LEASE_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- if .Values.store.enabled }}
- name: SLUICE_STORE_URL # as pods of all namespaces reach it
  value: {{ include "sluice.storeUrl" . }}
- name: SLUICE_STORE_KEY
  valueFrom:
    secretKeyRef:
      name: {{ .Values.store.keySecret }}
      key: key
{{- end }}
{{- end }}

{{- define "sluice.operatorMounts" -}}
- name: tmp
  mountPath: /tmp
- name: prometheus
  mountPath: /etc/sluice/prometheus
  readOnly: true
- name: registry
  mountPath: /etc/sluice/registry
  readOnly: true
{{- if .Values.gateway.caSecret }}
- name: gateway
  mountPath: /etc/sluice/gateway
  readOnly: true
{{- end }}
{{- with .Values.operator.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "sluice.operatorVolumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
- name: prometheus # the credentials for Prometheus; without this Secret it is asked without any
  secret:
    secretName: {{ .Values.prometheus.credentialsSecret }}
    optional: true
- name: registry # the credentials for MLflow, likewise
  secret:
    secretName: {{ .Values.mlflow.credentialsSecret }}
    optional: true
{{- with .Values.gateway.caSecret }}
- name: gateway # the authorities of the gateway's certificates
  secret:
    secretName: {{ . }}
{{- end }}
{{- with .Values.operator.volumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
