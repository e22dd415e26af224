package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// define creates each CustomResourceDefinition of a YAML file, if there is none yet, and waits until it is served.
func define(ctx context.Context, client apiextensions.Interface, file string) error {
	source, err := os.Open(file)
	if err != nil {
		return err
	}
	defer source.Close()
	definitions := client.ApiextensionsV1().CustomResourceDefinitions()
	for decoder := yaml.NewYAMLOrJSONDecoder(source, 4096); ; {
		var wanted apiextensionsv1.CustomResourceDefinition
		if err := decoder.Decode(&wanted); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if wanted.Kind != "CustomResourceDefinition" {
			continue // an empty document, or one of another kind
		}
		if _, err := definitions.Create(ctx, &wanted, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("%s: %w", file, err)
		}
		for deadline := time.Now().Add(patience); ; time.Sleep(poll) {
			found, err := definitions.Get(ctx, wanted.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if apihelpers.IsCRDConditionTrue(found, apiextensionsv1.Established) {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%s: %s was not served after %s", file, wanted.Name, patience)
			}
		}
	}
}
