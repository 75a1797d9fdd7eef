{{/* Two operators that work in one namespace would both write there, because each has a Lease of its own. The role of
each install says what it watches, in the annotation sluice.dev/watches; so do those of the plain manifests. A ClusterRole of
0.1.0 says nothing, and counts as one for all namespaces. */}}
{{- define "sluice.otherInstalls" -}}
{{- range (lookup "rbac.authorization.k8s.io/v1" "ClusterRole" "" "").items }}
{{- include "sluice.overlap" (list $ .) }}
{{- end }}
{{- $places := .Values.watch.namespaces | default (list "") }}
{{- range $places }}
{{- range (lookup "rbac.authorization.k8s.io/v1" "Role" . "").items }}
{{- include "sluice.overlap" (list $ .) }}
{{- end }}
{{- end }}
{{- end }}

{{/* A line if the install that this role is of watches a namespace that this one would watch, too. */}}
{{- define "sluice.overlap" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- $annotations := $role.metadata.annotations | default dict -}}
{{- $release := get $annotations "meta.helm.sh/release-name" -}}
{{- $place := get $annotations "meta.helm.sh/release-namespace" -}}
{{- $isOwn := and (eq $release $root.Release.Name) (eq $place $root.Release.Namespace) -}}
{{- $isNamed := eq (get ($role.metadata.labels | default dict) "app.kubernetes.io/name") "sluice-operator" -}}
{{- $isInstall := or (hasKey $annotations "sluice.dev/watches") (and $isNamed (eq $role.kind "ClusterRole")) -}}
{{- if and $isInstall (not $isOwn) }}
{{- $theirs := get $annotations "sluice.dev/watches" | default "{}" | fromJson -}}
{{- if eq $role.kind "Role" }}{{ $theirs = dict "namespaces" (list $role.metadata.namespace) }}{{ end -}}
{{- with include "sluice.shared" (list $root.Values.watch $theirs) }}
- {{ . }} an operator already: {{ if $release }}the Helm release {{ $release }} in the namespace {{ $place }}{{ else }}one that kubectl installed{{ end }} ({{ $role.kind }} {{ $role.metadata.name }}). Two would both write there. Take that one away first, take it over (docs/install.md, "From kubectl to Helm"), or watch other namespaces (watch.namespaces, watch.namespaceLabels)
{{- end }}
{{- end }}
{{- end }}

{{/* Which namespaces two installs both watch, in words. Empty: none. Argument: their two values `watch` */}}
{{- define "sluice.shared" -}}
{{- $ours := index . 0 -}}
{{- $theirs := index . 1 -}}
{{- $isAll := and (not $theirs.namespaces) (not $theirs.namespaceLabels) -}}
{{- $weAreAll := and (not $ours.namespaces) (not $ours.namespaceLabels) -}}
{{- if and $isAll $ours.namespaces -}}
{{- include "sluice.haveOne" $ours.namespaces -}}
{{- else if $isAll -}}
all namespaces have
{{- else if and $weAreAll $theirs.namespaces -}}
{{- include "sluice.haveOne" $theirs.namespaces -}}
{{- else if and $theirs.namespaceLabels (or $weAreAll (eq (toJson $ours.namespaceLabels) (toJson $theirs.namespaceLabels))) -}}
the namespaces with {{ include "sluice.labelSelector" $theirs.namespaceLabels }} have
{{- else if and $ours.namespaces $theirs.namespaces -}}
{{- $both := list -}}
{{- range $ours.namespaces }}{{ if has . $theirs.namespaces }}{{ $both = append $both . }}{{ end }}{{ end -}}
{{- with $both }}{{ include "sluice.haveOne" . }}{{ end -}}
{{- else -}}
{{- $both := list -}}
{{- range (lookup "v1" "Namespace" "" "").items -}}
{{- if and (include "sluice.isWatched" (list $ours .)) (include "sluice.isWatched" (list $theirs .)) -}}
{{- $both = append $both .metadata.name -}}
{{- end -}}
{{- end -}}
{{- with $both }}{{ include "sluice.haveOne" . }}{{ end -}}
{{- end -}}
{{- end }}

{{- define "sluice.haveOne" -}}
{{- if eq (len .) 1 }}namespace {{ first . }} has{{ else }}namespaces {{ join ", " . }} have{{ end -}}
{{- end }}

{{/* Whether a namespace is one that a value `watch` means. Empty: no */}}
{{- define "sluice.isWatched" -}}
{{- $watch := index . 0 -}}
{{- $namespace := index . 1 -}}
{{- $labels := $namespace.metadata.labels | default dict -}}
{{- if $watch.namespaceLabels -}}
{{- $isAsked := true -}}
{{- range $key, $value := $watch.namespaceLabels -}}
{{- if ne (get $labels $key) $value }}{{ $isAsked = false }}{{ end -}}
{{- end -}}
{{- if $isAsked }}yes{{ end -}}
{{- else if has $namespace.metadata.name $watch.namespaces -}}
yes
{{- end -}}
{{- end }}
