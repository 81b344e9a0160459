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

{{/* The controller is a part of its own: nothing that finds the webhook's pods finds its. */}}
{{- define "natsguard.controller.fullname" -}}
{{ include "natsguard.fullname" . }}-controller
{{- end }}

{{- define "natsguard.controller.selectorLabels" -}}
{{ include "natsguard.selectorLabels" . | replace "component: webhook" "component: controller" }}
{{- end }}

{{- define "natsguard.controller.labels" -}}
{{ include "natsguard.labels" . | replace "component: webhook" "component: controller" }}
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

{{- define "natsguard.identityEnv" -}}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      apiVersion: v1
      fieldPath: metadata.namespace
- name: POD_NAME
  valueFrom:
    fieldRef:
      apiVersion: v1
      fieldPath: metadata.name
{{- end }}

{{- define "natsguard.probes" -}}
# A busy process is not a dead one: half a minute of silence before it is restarted.
livenessProbe:
  httpGet:
    path: /livez
    port: metrics
    scheme: HTTP
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet:
    path: /readyz
    port: metrics
    scheme: HTTP
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end }}

{{/* On which nodes the pods of a Deployment run: `dict "root" $ "labels" LABELS`, the labels being those that select them. */}}
{{- define "natsguard.placement" -}}
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
affinity:
{{- with .root.Values.affinity }}
  {{- toYaml . | nindent 2 }}
{{- else }}
  # Not by a second constraint below: the scheduler then takes a node without a zone for no better than any other.
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: topology.kubernetes.io/zone
        labelSelector:
          matchLabels:
            {{- .labels | nindent 12 }}
        matchLabelKeys: [pod-template-hash]
{{- end }}
# Soft: three pods on two nodes are better than two.
topologySpreadConstraints:
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- .labels | nindent 6 }}
  matchLabelKeys: [pod-template-hash]
{{- end }}

{{- define "natsguard.metricsIngress" -}}
ports:
- protocol: TCP
  port: metrics
{{- with .Values.networkPolicy.metricsFrom }}
from:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "natsguard.apiServerEgress" -}}
- ports:
  {{- range .Values.networkPolicy.apiServerPorts }}
  - protocol: TCP
    port: {{ . }}
  {{- end }}
- ports:
  - protocol: UDP
    port: 53
  - protocol: TCP
    port: 53
{{- end }}
