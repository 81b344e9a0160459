{{/* The entries of a webhook configuration, one a resource, each with conditions of its own. Where a call that fails is ignored
they are wider: so it is, too, where the schema is not the apiserver's, and a condition may fail. Rules for kinds that a cluster
lacks match nothing. */}}
{{- define "natsguard.webhook.entries" -}}
{{- $root := .root }}
{{- $mutates := eq .step "mutate" }}
{{- $workload := ternary "hinted-workload" "workload" $mutates }}
{{- $stateless := ternary "hinted-workload" "named-workload" $mutates }}
{{- $entries := list
  (dict "resource" "configmaps" "group" "" "match" (ternary "configmap" "telling-configmap" $mutates) "fields" (list "data" "binaryData"))
  (dict "resource" "cronjobs" "group" "batch" "match" $stateless "fields" (list "spec") "template" "object.?spec.?jobTemplate.?spec.?template")
  (dict "resource" "daemonsets" "group" "apps" "match" $stateless "fields" (list "spec"))
  (dict "resource" "deploymentconfigs" "group" "apps.openshift.io" "match" "hinted-workload" "fields" (list "spec") "failurePolicy" "Ignore")
  (dict "resource" "deployments" "group" "apps" "match" $stateless "fields" (list "spec"))
  (dict "resource" "persistentvolumeclaims" "group" "" "match" "claim" "fields" (list "spec"))
  (dict "resource" "rollouts" "group" "argoproj.io" "version" "v1alpha1" "match" "hinted-workload" "fields" (list "spec") "failurePolicy" "Ignore")
  (dict "resource" "services" "group" "" "match" (ternary "governing-service" "service" $mutates) "fields" (list "spec"))
  (dict "resource" "statefulsets" "group" "apps" "match" $workload "fields" (list "spec"))
  (dict "resource" "secrets" "group" "" "match" "secret" "fields" (list "data") "off" (not $root.Values.secrets.enabled)) }}
{{- if not $mutates }}
{{- /* What hints at a server is refused as well, by entries of their own. */}}
{{- range $entries }}
{{- if has .resource (list "cronjobs" "daemonsets" "deployments" "statefulsets") }}
{{- $entries = append $entries (merge (dict "suffix" "-hinted" "match" "hinted" "unless" .match "failurePolicy" "Ignore") .) }}
{{- end }}
{{- end }}
{{- $entries = append $entries (dict "resource" "statefulsets/scale" "group" "apps" "failurePolicy" "Ignore") }}
{{- end }}
{{- range $entries }}
- name: {{ .resource | replace "/" "-" }}{{ .suffix }}.{{ $.step }}.natsguard.dev
  admissionReviewVersions: [v1]
  clientConfig:
    {{- if eq $root.Values.tls.mode "secret" }}
    caBundle: {{ $root.Values.tls.caBundle | b64enc }}
    {{- end }}
    service:
      name: {{ include "natsguard.fullname" $root }}
      namespace: {{ $root.Release.Namespace }}
      path: /{{ $.step }}
      port: 443
  failurePolicy: {{ .failurePolicy | default $.webhook.failurePolicy }}
  # An object that is written through another version of its API is the same object.
  matchPolicy: Equivalent
  matchConditions:
  {{- if .match }}
  - name: changed
    expression: |-
      {{- include "natsguard.match.changed" .fields | nindent 6 }}
  - name: nats
    expression: |-
      {{- $pods := "object.?spec.?template" }}
      {{- $template := .template | default $pods }}
      {{- include (printf "natsguard.match.%s" .match) $root | replace $pods $template | nindent 6 }}
  {{- with .unless }}
  - name: not-sent-otherwise
    expression: |-
      !({{- include (printf "natsguard.match.%s" .) $root | replace $pods $template | nindent 6 }})
  {{- end }}
  {{- else }}
  - name: grows
    expression: |-
      {{- include "natsguard.match.grows" $root | nindent 6 }}
  {{- end }}
  namespaceSelector:
    {{- include "natsguard.webhook.namespaceSelector" $root | nindent 4 }}
  # Labels of the object don't decide: a tenant writes them.
  objectSelector: {}
  {{- if eq $.step "mutate" }}
  reinvocationPolicy: IfNeeded
  {{- end }}
  {{- if .off }}
  # No rules, no call. The entry stays, as natsguard has its bundle in it: Helm could not take away an entry that is not all its.
  {{- else }}
  rules:
  - apiGroups: [{{ .group | quote }}]
    apiVersions: [{{ .version | default "v1" }}]
    operations: [{{ if .match }}CREATE, {{ end }}UPDATE]
    resources: [{{ .resource }}]
    scope: Namespaced
  {{- end }}
  sideEffects: None
  timeoutSeconds: {{ $.webhook.timeoutSeconds }}
{{- end }}
{{- end }}

{{/* The first requirement can't be undone: requirements are joined by "and", and values only add some. The cluster and
natsguard itself have to start while natsguard is down. */}}
{{- define "natsguard.webhook.namespaceSelector" -}}
matchExpressions:
- key: kubernetes.io/metadata.name
  operator: NotIn
  values: {{ list "kube-node-lease" "kube-public" "kube-system" .Release.Namespace | uniq | sortAlpha | toJson }}
{{- with .Values.webhook.namespaceSelector.matchExpressions }}
{{ toYaml . }}
{{- end }}
{{- with .Values.webhook.namespaceSelector.matchLabels }}
matchLabels:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "natsguard.webhook.annotations" -}}
# AKS would rewrite the namespaceSelector otherwise.
admissions.enforcer/disabled: "true"
{{- if eq .Values.tls.mode "cert-manager" }}
cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/{{ include "natsguard.fullname" . }}
{{- end }}
{{- if eq .Values.tls.mode "openshift" }}
service.beta.openshift.io/inject-cabundle: "true"
{{- end }}
{{- with .Values.webhook.annotations }}
{{ toYaml . }}
{{- end }}
{{- end }}
