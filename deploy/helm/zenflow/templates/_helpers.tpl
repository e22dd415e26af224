{{- define "zenflow.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "zenflow.labels" -}}
app.kubernetes.io/name: zenflow
app.kubernetes.io/component: controller
{{- end -}}

{{- define "zenflow.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "zenflow.labels" .root | nindent 2 }}
{{- end -}}

{{/* Role and RoleBinding where the rights end at the namespace, else ClusterRole and ClusterRoleBinding. */}}
{{- define "zenflow.scope" -}}
{{ if .Values.namespaced }}Role{{ else }}ClusterRole{{ end }}
{{- end -}}
