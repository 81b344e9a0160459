// Program cel answers, one JSON line for each on standard input, whether the matchConditions of a webhook let an object
// through. It compiles and evaluates them with kube-apiserver's own code, environment and limits.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

type question struct {
	// Version is the Kubernetes version whose CEL it is: 1.30, say.
	Version    string
	Conditions []admissionregistrationv1.MatchCondition
	Operation  string
	Resource   string
	Object     json.RawMessage
	OldObject  json.RawMessage
}

type answer struct {
	// Matches is whether the apiserver would call the webhook.
	Matches bool `json:"matches"`
	// Error is why it would refuse the request instead: a condition that can't be compiled, fails or costs too much.
	Error string `json:"error,omitempty"`
	// Costs has the cost of each condition; each has a limit of its own.
	Costs []int64 `json:"costs"`
}

type resource struct {
	group, kind string
	new         func() runtime.Object
}

var resources = map[string]resource{
	"configmaps":             {"", "ConfigMap", func() runtime.Object { return &corev1.ConfigMap{} }},
	"cronjobs":               {"batch", "CronJob", func() runtime.Object { return &batchv1.CronJob{} }},
	"daemonsets":             {"apps", "DaemonSet", func() runtime.Object { return &appsv1.DaemonSet{} }},
	"deploymentconfigs":      {"apps.openshift.io", "DeploymentConfig", custom},
	"deployments":            {"apps", "Deployment", func() runtime.Object { return &appsv1.Deployment{} }},
	"persistentvolumeclaims": {"", "PersistentVolumeClaim", func() runtime.Object { return &corev1.PersistentVolumeClaim{} }},
	"rollouts":               {"argoproj.io", "Rollout", custom},
	"secrets":                {"", "Secret", func() runtime.Object { return &corev1.Secret{} }},
	"services":               {"", "Service", func() runtime.Object { return &corev1.Service{} }},
	"statefulsets":           {"apps", "StatefulSet", func() runtime.Object { return &appsv1.StatefulSet{} }},
	"statefulsets/scale":     {"autoscaling", "Scale", func() runtime.Object { return &autoscalingv1.Scale{} }},
}

// custom is a resource of which the apiserver has no type.
func custom() runtime.Object { return &unstructured.Unstructured{} }

func main() {
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var q question
		if err := json.Unmarshal(line, &q); err != nil {
			fmt.Fprintln(os.Stderr, "not a question:", err)
			os.Exit(1)
		}
		if err := out.Encode(ask(&q)); err != nil {
			os.Exit(1)
		}
	}
}

func ask(q *question) answer {
	object, err := decode(q.Resource, q.Object)
	if err != nil {
		return answer{Error: err.Error()}
	}
	old, err := decode(q.Resource, q.OldObject)
	if err != nil {
		return answer{Error: err.Error()}
	}
	conditions, err := compile(q)
	if err != nil {
		return answer{Error: err.Error()}
	}
	fail := admissionregistrationv1.Fail
	matcher := matchconditions.NewMatcher(conditions.all, &fail, "webhook", "test", "test")
	var answers []answer
	for _, view := range []func(runtime.Object) (runtime.Object, error){typed, unstructuredOf} {
		attributes, err := versioned(q, object, old, view)
		if err != nil {
			return answer{Error: err.Error()}
		}
		result := answer{}
		for _, condition := range conditions.each {
			evaluations, left, err := condition.ForInput(context.Background(), attributes,
				cel.CreateAdmissionRequest(attributes.Attributes, metav1.GroupVersionResource(attributes.GetResource()),
					metav1.GroupVersionKind(attributes.VersionedKind)),
				cel.OptionalVariableBindings{}, nil, celconfig.RuntimeCELCostBudgetMatchConditions)
			if err != nil {
				return answer{Error: err.Error()}
			}
			// The matcher forgives an error where another condition says no. We don't.
			if evaluations[0].Error != nil {
				return answer{Error: evaluations[0].Error.Error()}
			}
			result.Costs = append(result.Costs, celconfig.RuntimeCELCostBudgetMatchConditions-left)
		}
		match := matcher.Match(context.Background(), attributes, nil, nil)
		if match.Error != nil {
			return answer{Error: match.Error.Error()}
		}
		result.Matches = match.Matches
		answers = append(answers, result)
	}
	if answers[0].Matches != answers[1].Matches {
		return answer{Error: fmt.Sprintf("the views differ: %v", answers)}
	}
	return answers[0]
}

// compiled is a list of conditions, and each on its own.
type compiled struct {
	all  cel.ConditionEvaluator
	each []cel.ConditionEvaluator
}

var known = map[string]*compiled{}

func compile(q *question) (*compiled, error) {
	key := fmt.Sprint(q.Version, q.Conditions)
	if result, ok := known[key]; ok {
		return result, nil
	}
	compiler := cel.NewConditionCompiler(environment.MustBaseEnvSet(version.MustParseGeneric(q.Version)))
	evaluator := func(accessors ...cel.ExpressionAccessor) cel.ConditionEvaluator {
		// What is new in a version may be written only when the version before knows it, too: so it is judged here.
		return compiler.CompileCondition(accessors, cel.OptionalVariableDeclarations{HasAuthorizer: true}, environment.NewExpressions)
	}
	result := &compiled{}
	var accessors []cel.ExpressionAccessor
	for _, condition := range q.Conditions {
		accessor := (*matchconditions.MatchCondition)(&condition)
		accessors = append(accessors, accessor)
		result.each = append(result.each, evaluator(accessor))
	}
	result.all = evaluator(accessors...)
	if errors := result.all.CompilationErrors(); len(errors) > 0 {
		return nil, fmt.Errorf("%v", errors)
	}
	known[key] = result
	return result, nil
}

// typed is how an apiserver shows an object to CEL since 1.37.
func typed(object runtime.Object) (runtime.Object, error) {
	return object, nil
}

// unstructuredOf is how it did before.
func unstructuredOf(object runtime.Object) (runtime.Object, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	return &unstructured.Unstructured{Object: content}, err
}

// decode keeps a nil interface for an absent object.
func decode(name string, text json.RawMessage) (runtime.Object, error) {
	known, ok := resources[name]
	if !ok {
		return nil, fmt.Errorf("no resource %q", name)
	}
	if len(text) == 0 || strings.TrimSpace(string(text)) == "null" {
		return nil, nil
	}
	object := known.new()
	var err error
	if custom, ok := object.(*unstructured.Unstructured); ok {
		err = json.Unmarshal(text, &custom.Object)
	} else {
		err = json.Unmarshal(text, object)
	}
	if err != nil {
		return nil, fmt.Errorf("not a %s: %w", known.kind, err)
	}
	return object, nil
}

func versioned(q *question, object, old runtime.Object, view func(runtime.Object) (runtime.Object, error)) (*admission.VersionedAttributes, error) {
	known := resources[q.Resource]
	kind := schema.GroupVersionKind{Group: known.group, Version: "v1", Kind: known.kind}
	attributes := &admission.VersionedAttributes{
		Attributes: admission.NewAttributesRecord(object, old, kind, "default", "name",
			schema.GroupVersionResource{Group: known.group, Version: "v1", Resource: q.Resource}, "",
			admission.Operation(q.Operation), nil, false, nil),
		VersionedKind: kind,
	}
	for _, side := range []struct {
		object runtime.Object
		lazy   *admission.LazyObject
	}{{object, &attributes.VersionedObject}, {old, &attributes.VersionedOldObject}} {
		if side.object == nil {
			continue
		}
		seen, err := view(side.object)
		if err != nil {
			return nil, err
		}
		side.lazy.Set(seen)
	}
	return attributes, nil
}
