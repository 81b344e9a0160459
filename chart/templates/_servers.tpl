{{/* What a NATS server is, as CEL. Written by tests/chart/servers.rs from policies/src/workload/server.rs. */}}
{{- define "natsguard.servers.images" -}}
(^|/)(nats|nats-server|nats-server-nightly|nats-streaming|nats-streaming-server|gnatsd)([:@]|$)
{{- end }}
{{- define "natsguard.servers.programs" -}}
line.contains('nats-serve') || line.contains('nats-strea') || line.contains('gnatsd')
{{- end }}
{{- define "natsguard.servers.shells" -}}
(^|/)(sh|bash|ash|dash|ksh|mksh|zsh)$
{{- end }}
{{- define "natsguard.servers.otherFormats" -}}
['.yaml\x03', '.yml\x03', '.toml\x03', '.ini\x03', '.xml\x03', '.properties\x03', '.sh\x03']
{{- end }}
{{- define "natsguard.servers.tellingFlags" -}}
['-js', '--js', '-jetstream', '--jetstream', '-sd', '--sd', '-store_dir', '--store_dir', '-cluster', '--cluster', '-cluster_listen', '--cluster_listen', '-routes', '--routes', '-cluster_name', '--cluster_name', '-cluster_advertise', '--cluster_advertise', '-client_advertise', '--client_advertise', '-no_advertise', '--no_advertise', '-connect_retries', '--connect_retries', '-server_name', '--server_name', '-http_port', '--http_port', '-sc', '--sc', '-stan_config', '--stan_config']
{{- end }}
{{- define "natsguard.servers.addressFlags" -}}
['-cluster', '--cluster', '-cluster_listen', '--cluster_listen', '-routes', '--routes']
{{- end }}
{{- define "natsguard.servers.defaultPaths" -}}
['/bitnami', '/bitnami/', '/bitnami/nats', '/bitnami/nats/', '/bitnami/nats/conf', '/bitnami/nats/conf/', '/bitnami/nats/conf/nats-server.conf', '/bitnami/nats/conf/nats-server.conf/', '/etc', '/etc/', '/etc/nats', '/etc/nats/', '/etc/nats/nats-server.conf', '/etc/nats/nats-server.conf/', '/nats-server.conf', '/nats-server.conf/', '/opt', '/opt/', '/opt/bitnami', '/opt/bitnami/', '/opt/bitnami/nats', '/opt/bitnami/nats/', '/opt/bitnami/nats/conf', '/opt/bitnami/nats/conf/', '/opt/bitnami/nats/conf/nats-server.conf', '/opt/bitnami/nats/conf/nats-server.conf/']
{{- end }}
