{{- define "tricampus.labels" -}}
app.kubernetes.io/name: tricampus-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "tricampus.selector" -}}
app.kubernetes.io/name: tricampus-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Of a pod that runs once, by its component: not what the Deployment's budget of disruptions selects, which with a
pod of no scale in it would let nothing go, nor what the platform's policies let in as an operator. */ -}}
{{- define "tricampus.taskLabels" -}}
app.kubernetes.io/name: tricampus-{{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "tricampus.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* The zones of the campuses, in order: those of the DataCenter that is there, else those given, else the
first three that nodes are labelled with. */ -}}
{{- define "tricampus.zones" -}}
{{- $zones := list -}}
{{- $there := lookup "tricampus.dev/v1alpha1" "DataCenter" .Release.Namespace .Values.dataCenter.name -}}
{{- if $there -}}
  {{- range $there.spec.campuses -}}{{- $zones = append $zones .zone -}}{{- end -}}
{{- else -}}
  {{- $found := dict -}}
  {{- $nodes := (lookup "v1" "Node" "" "").items -}}
  {{- range $nodes -}}
    {{- $zone := index (.metadata.labels | default dict) "topology.kubernetes.io/zone" -}}
    {{- if $zone -}}{{- $_ := set $found $zone true -}}{{- end -}}
  {{- end -}}
  {{- $known := keys $found | sortAlpha -}}
  {{- range $i, $campus := .Values.dataCenter.campuses -}}
    {{- if $campus.zone -}}
      {{- $zones = append $zones $campus.zone -}}
    {{- else if $.Values.dev -}}
      {{- $zones = append $zones (index (append $known "zone-1") 0) -}}
    {{- else if ge (len $known) 3 -}}
      {{- $zones = append $zones (index $known $i) -}}
    {{- else if $known -}}
      {{- fail (printf "the cluster's nodes are in the zones %s: three are needed, or dev=true (not highly available)" (join ", " $known)) -}}
    {{- else if $nodes -}}
      {{- fail "no node of the cluster says in which zone it is: label them, three zones at least (kubectl label node NAME topology.kubernetes.io/zone=ZONE), or take dev=true (not highly available)" -}}
    {{- else -}}
      {{- $zones = append $zones (printf "zone-%d" (add1 $i)) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- join "\n" $zones -}}
{{- end }}
