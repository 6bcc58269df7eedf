/**
 * The fields of KServe's kinds that a manifest of ours may use, after KServe's API reference (0.20). What a pod has are the types of Kubernetes.
 * The schemas of KServe's own CustomResourceDefinitions are the authority: crd.test.ts.
 */
import type {
  Affinity,
  Container,
  LocalObjectReference,
  PodSpec,
  Toleration,
  Volume,
} from 'kubernetes-types/core/v1';
import type { ObjectMeta } from 'kubernetes-types/meta/v1';

type Protocol = 'v1' | 'v2' | 'grpc-v1' | 'grpc-v2';

export interface ClusterServingRuntime {
  apiVersion: 'serving.kserve.io/v1alpha1';
  kind: 'ClusterServingRuntime';
  metadata: ObjectMeta & { namespace?: never };
  spec: {
    supportedModelFormats: { name: string; version?: string; autoSelect?: boolean; priority?: number }[];
    protocolVersions: Protocol[];
    multiModel?: boolean;
    disabled?: boolean;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    containers: Container[];
    volumes?: Volume[];
    nodeSelector?: Record<string, string>;
    affinity?: Affinity;
    tolerations?: Toleration[];
    imagePullSecrets?: LocalObjectReference[];
  };
}

/** A container whose name and image come from the runtime. */
type ModelContainer = Omit<Container, 'name'>;

interface Model extends ModelContainer {
  modelFormat: { name: string; version?: string };
  protocolVersion?: Protocol;
  runtime?: string;
  storageUri?: string;
}

interface Predictor extends Omit<PodSpec, 'containers'> {
  minReplicas?: number;
  maxReplicas?: number;
  scaleMetric?: 'cpu' | 'memory' | 'concurrency' | 'rps';
  scaleTarget?: number;
  containerConcurrency?: number;
  timeout?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  model: Model;
}

export interface InferenceService {
  apiVersion: 'serving.kserve.io/v1beta1';
  kind: 'InferenceService';
  metadata: ObjectMeta;
  spec: { predictor: Predictor };
}
