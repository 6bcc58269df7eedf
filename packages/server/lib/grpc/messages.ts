/** The messages of grpc_predict_v2.proto as the loader gives them: numbers for int64, Buffers for bytes, oneofs by name. */

export interface InferParameter {
  parameter_choice?: 'bool_param' | 'int64_param' | 'string_param' | 'double_param' | 'uint64_param';
  bool_param?: boolean;
  int64_param?: number;
  string_param?: string;
  double_param?: number;
  uint64_param?: number;
}

export type Parameters = Record<string, InferParameter>;

export interface InputMessage {
  name: string;
  datatype: string;
  shape: number[];
  parameters: Parameters;
  contents: Record<string, unknown[]> | null;
}

export interface ModelInferRequest {
  model_name: string;
  model_version: string;
  id: string;
  parameters: Parameters;
  inputs: InputMessage[];
  outputs: { name: string; parameters: Parameters }[];
  raw_input_contents: Buffer[];
}

export interface OutputMessage {
  name: string;
  datatype: string;
  shape: number[];
}

export interface ModelInferResponse {
  model_name: string;
  model_version: string;
  id: string;
  outputs: OutputMessage[];
  raw_output_contents: Buffer[];
}

export interface NamedModel {
  name: string;
  version: string;
}

/** Parameters as JSON would have them. */
export function plainParameters(parameters: Parameters): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(parameters).map(([key, value]) => [
      key,
      value.parameter_choice === undefined ? undefined : value[value.parameter_choice],
    ]),
  );
}
