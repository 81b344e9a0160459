{{/* Values that contradict each other, said before anything is installed. */}}
{{- define "natsguard.validate" -}}
{{- if eq .Values.tls.mode "secret" }}
{{- if not .Values.tls.secretName }}
{{- fail "tls.mode is secret: name the Secret that has tls.crt and tls.key in tls.secretName" }}
{{- end }}
{{- if not .Values.tls.caBundle }}
{{- fail "tls.mode is secret: put the certificates of the CA that signed it, in PEM, in tls.caBundle" }}
{{- end }}
{{- else if or .Values.tls.secretName .Values.tls.caBundle }}
{{- fail (printf "tls.secretName and tls.caBundle belong to tls.mode secret, and tls.mode is %s: remove them or set tls.mode: secret" .Values.tls.mode) }}
{{- end }}
{{- if eq (int .Values.webhook.port) (int .Values.metrics.port) }}
{{- fail (printf "webhook.port and metrics.port are both %d: give them two" (int .Values.webhook.port)) }}
{{- end }}
{{- if and .Values.webhook.hostNetwork (eq (int .Values.webhook.port) 10250) }}
{{- fail "webhook.hostNetwork: the kubelet listens on 10250 of the node; set webhook.port to another port, such as 9443" }}
{{- end }}
{{- if eq .Release.Namespace "kube-system" "kube-public" "kube-node-lease" }}
{{- fail (printf "install natsguard in a namespace of its own, not in %s: helm install --namespace natsguard --create-namespace" .Release.Namespace) }}
{{- end }}
{{- end }}
