/** The fields of a Kustomization that a manifest of ours may use, after kustomize's reference. */
export interface Kustomization {
  apiVersion: 'kustomize.config.k8s.io/v1beta1';
  kind: 'Kustomization';
  resources: string[];
  patches?: { path: string }[];
  images?: { name: string; newName?: string; newTag?: string }[];
}
