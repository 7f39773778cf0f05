/**
 * TensorFlow.js on TensorFlow's C library. It is not a dependency of the project's own package,
 * whose installation must not need a compiler. It is set up once per user, and SA_ORCH_TFJS_NODE
 * names the module.
 */
import util from 'node:util';
import type * as Core from '@tensorflow/tfjs-core';

export type Tensor = Core.Tensor;
export type Tensor2D = Core.Tensor2D;

/** The part of the module that is used: tfjs-core, in the native backend's own copy. */
export type TensorFlow = typeof Core;

/** The part of the native backend for kernels that have no function in tfjs-core. */
interface NativeBackend {
  executeSingleOutput(
    name: string,
    attributes: { name: string; type: number; value: unknown }[],
    inputs: Tensor[],
  ): Tensor;
  binding: NativeBinding;
  isUsingGpuDevice: boolean;
}

interface NativeBinding {
  TF_Version: string;
  TF_ATTR_TYPE: number;
  TF_FLOAT: number;
  TF_INT32: number;
}

function load(): TensorFlow {
  const path = process.env.SA_ORCH_TFJS_NODE;
  if (!path)
    throw new Error(
      'SA_ORCH_TFJS_NODE must name the module @tensorflow/tfjs-node; `sa-orch trainer ' +
        '--framework tfjs` sets it up',
    );
  // Node 23 dropped these; @tensorflow/tfjs-node 4.22 calls them.
  const legacy = util as unknown as Record<string, unknown>;
  legacy.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  legacy.isArray ??= Array.isArray;
  // TensorFlow prints information about its build on stderr.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- known at run time only
  return require(path) as TensorFlow;
}

export const tf = load();

const backend = tf.backend() as unknown as NativeBackend;

/** The C library's version. */
export const libraryVersion = backend.binding.TF_Version;

export const isOnGpu = backend.isUsingGpuDevice;

/**
 * Uniform float32 numbers in [0, 1), the same for the same two-word key, by TensorFlow's stateless
 * Philox (Salmon et al. 2011). tf.randomUniform would draw them one by one in JavaScript.
 */
export function uniformTensor(shape: number[], key: readonly [number, number]): Tensor {
  return tf.tidy(() => {
    const { TF_ATTR_TYPE, TF_FLOAT, TF_INT32 } = backend.binding;
    const attributes = [
      { name: 'dtype', type: TF_ATTR_TYPE, value: TF_FLOAT },
      { name: 'T', type: TF_ATTR_TYPE, value: TF_INT32 },
      { name: 'Tseed', type: TF_ATTR_TYPE, value: TF_INT32 },
    ];
    return backend.executeSingleOutput('StatelessRandomUniform', attributes, [
      tf.tensor1d(shape, 'int32'),
      tf.tensor1d([...key], 'int32'),
    ]);
  });
}
