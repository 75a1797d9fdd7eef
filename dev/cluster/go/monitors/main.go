// Command monitors reads ServiceMonitors, PodMonitors and PrometheusRules, as YAML documents, as the Prometheus Operator
// does, and fails on a field that it does not know. Its CRDs are in no Go module, its types are.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	strict "sigs.k8s.io/yaml"
)

func main() {
	documents := yaml.NewYAMLReader(bufio.NewReader(os.Stdin))
	read := 0
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = check(document)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		read++
	}
	fmt.Println(read)
}

func check(document []byte) error {
	var about struct{ Kind string }
	if err := strict.Unmarshal(document, &about); err != nil {
		return err
	}
	switch about.Kind {
	case "ServiceMonitor":
		return strict.UnmarshalStrict(document, &monitoring.ServiceMonitor{})
	case "PodMonitor":
		return strict.UnmarshalStrict(document, &monitoring.PodMonitor{})
	case "PrometheusRule":
		return strict.UnmarshalStrict(document, &monitoring.PrometheusRule{})
	default:
		return fmt.Errorf("%q is neither a monitor nor a rule", about.Kind)
	}
}
