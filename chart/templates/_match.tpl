{{/*
What of a cluster is NATS-like, as CEL that kube-apiserver evaluates: everything else costs it no call.

A condition that fails, or costs more than 1,000,000 units, refuses the request where failurePolicy is Fail. So:
- each one holds on every object that the apiserver can decode: absent fields, nulls where Go has nil lists and bytes,
  and far more of everything than validation would allow, since mutation comes before it;
- what is too large to look at cheaply is let through: the webhook looks at it. Bounds come before loops;
- a value that is needed twice is bound by `[value].exists(name, …)`, since matchConditions know no variables.
tests/chart asks the apiserver's own evaluator about all of this, with the costs.
*/}}

{{/* Objects that the controller has looked at: it writes this annotation on what belongs to a NATS workload. */}}
{{- define "natsguard.match.reviewed" -}}
object.metadata.?annotations[?'natsguard.dev/reviewed'].hasValue()
{{- end }}

{{- define "natsguard.match.touched" -}}
object.metadata.?annotations[?'natsguard.dev/reviewed'].orValue('') != oldObject.metadata.?annotations[?'natsguard.dev/reviewed'].orValue('')
{{- end }}

{{/* A pod template of which a container (one that stays, of those for initialization) passes the test `.test`: of the container
`c`, of the words of its command line, and of those as one `line` in which each stands between a start and an end of text
(ASCII), as a script has lines of its own. What is too large to look at passes. */}}
{{- define "natsguard.match.containers" -}}
[object.?spec.?template.?spec.orValue({})].exists(pod, pod != null &&
  [pod.?containers.orValue([])].exists(containers, [pod.?initContainers.orValue([])].exists(inits,
    (containers == null ? 0 : size(containers)) + (inits == null ? 0 : size(inits)) > 16 ||
    ((containers == null ? [] : containers) + (inits == null ? [] : inits.filter(c, c.?restartPolicy.orValue('') == 'Always'))).exists(c,
      {{- .before | nindent 6 }}
      [c.?command.orValue([]) + c.?args.orValue([])].exists(words,
        size(words) > 128 || words.map(word, size(word)).sum() > 16384 ||
        [([''] + words + ['']).join('\x03\x02')].exists(line,
          {{- .test | nindent 10 }}))))))
{{- end }}

{{- define "natsguard.match.mounts-files" -}}
(size(pod.?volumes.orValue([])) > 64 || pod.?volumes.orValue([]).exists(volume,
  has(volume.configMap) || has(volume.secret) || has(volume.projected)))
{{- end }}

{{/* A pod template with a NATS server: by image, by program (in a shell script as well), or because `-c` names a file
and the pod mounts files. A file of a well-known other format is not a nats.conf, and what a shell takes is no file. */}}
{{- define "natsguard.match.workload" -}}
{{- $before := printf `size(c.?image.orValue('')) > 512 ||
c.?image.orValue('').matches('%s') ||` (include "natsguard.servers.images" .) }}
{{- $test := printf `%s ||
![words[?0].orValue('')].exists(first, size(first) < 64 && first.matches('%s')) &&
line.findAll('\x02--?c(onfig)?[=\x03]\x02?[^\\s=#\x03]+\x03').exists(flag, !%s.exists(ending, flag.endsWith(ending))) &&
%s` (include "natsguard.servers.programs" .) (include "natsguard.servers.shells" .) (include "natsguard.servers.otherFormats" .) (include "natsguard.match.mounts-files" .) }}
{{- include "natsguard.match.containers" (dict "before" $before "test" $test) }}
{{- end }}

{{/* One that says less: flags that no other program has together, or a file that is mounted where a server looks for it. Only
where a call that fails is ignored. */}}
{{- define "natsguard.match.hinted" -}}
{{- $test := printf `words.filter(word, word.split('=', 2)[0] in %s).size() > 1 ||
line.contains('nats') && line.contains('://') && words.exists(word, word.split('=', 2)[0] in %s) ||
(size(c.?volumeMounts.orValue([])) > 64 || c.?volumeMounts.orValue([]).exists(mount, mount.?mountPath.orValue('') in %s)) &&
%s` (include "natsguard.servers.tellingFlags" .) (include "natsguard.servers.addressFlags" .) (include "natsguard.servers.defaultPaths" .) (include "natsguard.match.mounts-files" .) }}
{{- include "natsguard.match.containers" (dict "before" "" "test" $test) }}
{{- end }}

{{/* Whatever of both. */}}
{{- define "natsguard.match.hinted-workload" -}}
{{ include "natsguard.match.workload" . }} ||
{{ include "natsguard.match.hinted" . }}
{{- end }}

{{/* A Deployment or DaemonSet that, by a name, an image or a word, has to do with NATS. Only where a call that fails refuses:
many a program takes `-c FILE`. */}}
{{- define "natsguard.match.named-workload" -}}
{{ include "natsguard.match.workload" . }} && (
object.metadata.?name.orValue('').contains('nats') ||
[object.?spec.?template.?spec.orValue({})].exists(pod, pod != null && (
  [pod.?containers.orValue([]), pod.?initContainers.orValue([])].exists(containers, containers != null && (size(containers) > 16 || containers.exists(c,
    c.?name.orValue('').contains('nats') || c.?image.orValue('').contains('nats') ||
    [c.?command.orValue([]) + c.?args.orValue([])].exists(words, size(words) > 128 || words.exists(word, word.contains('nats')))))) ||
  size(pod.?volumes.orValue([])) > 64 || pod.?volumes.orValue([]).exists(volume,
    volume.?configMap.?name.orValue('').contains('nats') || volume.?secret.?secretName.orValue('').contains('nats') ||
    [volume.?projected.?sources.orValue([])].exists(sources, sources != null && (size(sources) > 64 || sources.exists(source,
      source.?configMap.?name.orValue('').contains('nats') || source.?secret.?name.orValue('').contains('nats'))))))))
{{- end }}

{{/* A ConfigMap with one of these among its texts in lower case, or with a file in base64. 1050576 is 1 MiB with the padding of
1000 values: the apiserver stores no more. */}}
{{- define "natsguard.match.texts" -}}
{{ include "natsguard.match.reviewed" . }} ||
[object.?data.orValue({})].exists(data, [object.?binaryData.orValue({})].exists(binary,
  size(data) + size(binary) > 1000 ||
  [data.map(key, size(data[key])).sum() + binary.map(key, binary[key] == null ? 0 : size(binary[key])).sum() * 3 / 4].exists(total,
    total <= 1050576 && (
      [data.map(key, data[key].lowerAscii())].exists(texts,
        {{- . | nindent 8 }}) ||
      binary.exists(key, binary[key] != null && ({{ include "natsguard.match.encoded" (list "key" "binary[key]") }}))))))
{{- end }}

{{/* The block that a nats.conf has, and no `cluster: name`, no `cluster={{ $labels.cluster }}`. */}}
{{- define "natsguard.match.block" -}}
text.matches('cluster[\\s:=\'"]*\\{[^{]')
{{- end }}

{{/* Options whose values a policy reads, but for jetstream. Where there is too much text for the pattern a word is enough. */}}
{{- define "natsguard.match.options" -}}
text.contains('routes') || text.contains('store_dir') ||
text.contains('cluster') && (total > 262144 || {{ include "natsguard.match.block" . }})
{{- end }}

{{/* Text that could be a nats.conf, or what one includes, in any case. */}}
{{- define "natsguard.match.configmap" -}}
{{- $texts := `data.exists(key, key.endsWith('.conf') && key.contains('nats')) ||
texts.exists(text, text.contains('jetstream') || %s)` }}
{{- include "natsguard.match.texts" (printf $texts (include "natsguard.match.options" .)) }}
{{- end }}

{{/* The same with more to go by: the word nats, or routes in a cluster. Only where a call that fails refuses: Envoy,
Alertmanager and many a dashboard have routes as well. */}}
{{- define "natsguard.match.telling-configmap" -}}
{{- $texts := `data.exists(key, key.endsWith('.conf') && key.contains('nats')) ||
texts.exists(text, text.contains('jetstream')) ||
((data.map(key, key) + [object.metadata.?name.orValue('')]).exists(name, size(name) > 253 || name.lowerAscii().contains('nats')) ||
  texts.exists(text, text.contains('nats'))) && texts.exists(text, %s) ||
total <= 262144 && texts.exists(text, text.contains('routes') && %s)` }}
{{- include "natsguard.match.texts" (printf $texts (include "natsguard.match.options" .) (include "natsguard.match.block" .)) }}
{{- end }}

{{/* A file in base64: known by its key, or by "routes" in one of the three ways it can lie in groups of three bytes. */}}
{{- define "natsguard.match.encoded" -}}
{{- $key := index . 0 }}{{ $text := index . 1 -}}
{{ $key }}.endsWith('.conf') || {{ $key }}.contains('nats') || {{ $text }}.contains('cm91dGVz') || {{ $text }}.contains('JvdXRlc') || {{ $text }}.contains('yb3V0ZX')
{{- end }}

{{/* 1402200 is the same in base64. */}}
{{- define "natsguard.match.secret" -}}
{{ include "natsguard.match.reviewed" . }} ||
object.?type.orValue('Opaque') in ['', 'Opaque'] &&
[object.?data.orValue({})].exists(data, size(data) > 1000 ||
  data.map(key, data[key] == null ? 0 : size(data[key])).sum() <= 1402200 &&
  data.exists(key, data[key] != null && ({{ include "natsguard.match.encoded" (list "key" "data[key]") }})))
{{- end }}

{{/* By its name, by what it selects, or by a port of NATS: clients, routes, gateways, leaf nodes, monitoring. */}}
{{- define "natsguard.match.service" -}}
{{ include "natsguard.match.reviewed" . }} || object.metadata.?name.orValue('').contains('nats') ||
[object.?spec.orValue({})].exists(spec,
  size(spec.?ports.orValue([])) > 256 || spec.?ports.orValue([]).exists(port, port.?port.orValue(0) in [4222, 6222, 7222, 7422, 8222]) ||
  size(spec.?selector.orValue({})) > 64 || spec.?selector.orValue({}).exists(key, spec.selector[key].contains('nats')))
{{- end }}

{{/* Every Service that could hide the pods of a StatefulSet from each other. Only where a call that fails is ignored:
the others of these are not ours. */}}
{{- define "natsguard.match.governing-service" -}}
object.?spec.?clusterIP.orValue('') == 'None' && !object.?spec.?publishNotReadyAddresses.orValue(false) ||
{{ include "natsguard.match.service" . }}
{{- end }}

{{- define "natsguard.match.claim" -}}
{{ include "natsguard.match.reviewed" . }} || object.metadata.?name.orValue('').contains('nats') ||
size(object.metadata.?labels.orValue({})) > 64 ||
object.metadata.?labels.orValue({}).exists(key, object.metadata.labels[key].contains('nats'))
{{- end }}

{{/* Of the updates only those that change what a policy reads: `list "field" …`, each compared as a whole. */}}
{{- define "natsguard.match.changed" -}}
request.operation != 'UPDATE' || {{ include "natsguard.match.touched" . }}
{{- range . }} ||
object.?{{ . }}.orValue({}) != oldObject.?{{ . }}.orValue({})
{{- end }}
{{- end }}

{{/* A Scale says how many pods there will be, and not of what: every StatefulSet that grows is sent. */}}
{{- define "natsguard.match.grows" -}}
object.?spec.?replicas.orValue(0) > oldObject.?spec.?replicas.orValue(0)
{{- end }}
