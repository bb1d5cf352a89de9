{{/* The name of everything in the release: "cutover" once, however the release is called. */}}
{{- define "cutover.fullname" -}}
{{- if contains "cutover" .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-cutover" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "cutover.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}

{{- define "cutover.selectorLabels" -}}
app.kubernetes.io/name: cutover
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "cutover.labels" -}}
{{ include "cutover.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The watched namespaces, as a JSON list: a template can only return text. */}}
{{- define "cutover.namespaces" -}}
{{- .Values.watchNamespaces | default (list .Release.Namespace) | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/* The names of the preserved copies that the named rollouts may have, as a JSON list. */}}
{{- define "cutover.copies" -}}
{{- $copies := list -}}
{{- range $rollout := .Values.rbac.rolloutNames -}}
{{- range $run := untilStep 1 (int (add1 $.Values.rbac.runs)) 1 -}}
{{- $copies = append $copies (printf "%s-legacy-%d" $rollout $run) -}}
{{- end -}}
{{- end -}}
{{- $copies | toJson -}}
{{- end -}}
