{{- define "natsguard.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "natsguard.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 58 | trimSuffix "-" }}
{{- else if contains (include "natsguard.name" .) .Release.Name }}
{{- .Release.Name | trunc 58 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "natsguard.name" .) | trunc 58 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "natsguard.selectorLabels" -}}
app.kubernetes.io/name: {{ include "natsguard.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: webhook
{{- end }}

{{- define "natsguard.labels" -}}
{{ include "natsguard.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "natsguard.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{/* The Secret that the process makes in mode `self`; the chart must not render it. */}}
{{- define "natsguard.caSecret" -}}
{{ include "natsguard.fullname" . }}-ca
{{- end }}

{{/* The Secret with the certificate, when somebody else makes it. */}}
{{- define "natsguard.tlsSecret" -}}
{{- if eq .Values.tls.mode "secret" -}}
{{ .Values.tls.secretName }}
{{- else if ne .Values.tls.mode "self" -}}
{{ include "natsguard.fullname" . }}-tls
{{- end }}
{{- end }}

{{/* Pod Security `restricted` and OpenShift's restricted-v2: no user is named, the image has a numeric one. */}}
{{- define "natsguard.podSecurityContext" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "natsguard.securityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
privileged: false
readOnlyRootFilesystem: true
{{- end }}

{{/* The ServiceAccount's token, mounted here only: nothing else that uses the account gets one unasked. */}}
{{- define "natsguard.tokenVolume" -}}
name: token
projected:
  sources:
  - serviceAccountToken:
      expirationSeconds: 3607
      path: token
  - configMap:
      name: kube-root-ca.crt
      items:
      - key: ca.crt
        path: ca.crt
  - downwardAPI:
      items:
      - path: namespace
        fieldRef:
          apiVersion: v1
          fieldPath: metadata.namespace
{{- end }}

{{- define "natsguard.tokenMount" -}}
name: token
mountPath: /var/run/secrets/kubernetes.io/serviceaccount
readOnly: true
{{- end }}

{{/* What finds natsguard's own objects, in `webhook` and `doctor` alike. */}}
{{- define "natsguard.identityArgs" -}}
- --namespace=$(POD_NAMESPACE)
- --service={{ include "natsguard.fullname" . }}
- --webhook-configuration={{ include "natsguard.fullname" . }}
{{- end }}
