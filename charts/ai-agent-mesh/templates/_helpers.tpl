{{/* Labels by which pods are found; they never change. Context: a dict with root and component. */}}
{{- define "mesh.selector" -}}
app.kubernetes.io/name: ai-agent-mesh
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "mesh.labels" -}}
{{ include "mesh.selector" . }}
app.kubernetes.io/part-of: {{ .root.Values.mesh.name }}
app.kubernetes.io/version: {{ .root.Values.mesh.version | quote }}
{{- end }}

{{- define "mesh.metadata" -}}
name: {{ .name | default .component }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "mesh.labels" . | nindent 2 }}
{{- end }}

{{/* What every pod has, whatever runs in it: no token, no rights, no other account. Context: root and user. */}}
{{- define "mesh.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user }}
  runAsGroup: {{ .user }}
  fsGroup: {{ .user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "mesh.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "mesh.image" -}}
image: {{ .reference }}
imagePullPolicy: {{ .pullPolicy }}
{{- end }}

{{/* Keys of the Secret with credentials as files. Context: root and keys. */}}
{{- define "mesh.credentials" -}}
- name: credentials
  secret:
    secretName: {{ .root.Values.secrets.credentials }}
    defaultMode: 0440
    items:
      {{- range .keys }}
      - key: {{ . }}
        path: {{ . }}
      {{- end }}
{{- end }}

{{- define "mesh.credentialsMount" -}}
- name: credentials
  mountPath: /run/secrets/mesh
  readOnly: true
{{- end }}

{{/* Variables of the environment out of a map. */}}
{{- define "mesh.environment" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* Pods of a service on nodes, and in zones, of their own as far as there are any. */}}
{{- define "mesh.spread" -}}
topologySpreadConstraints:
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "mesh.selector" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
