/**
 * The two standard gRPC services that a trainer serves beside its own, called without generated
 * code.
 */
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import { proxyChannelOptions } from '../../common/proxies';

const asIs = (bytes: Buffer) => bytes;

/**
 * grpc.health.v1.Health/Check: 1 is SERVING. Rejects with NOT_FOUND for a service that the server
 * does not know.
 */
export async function askHealth(address: string, service: string): Promise<number> {
  const request = Buffer.from(new BinaryWriter().uint32(0x0a).string(service).finish());
  const reader = new BinaryReader(await unary(address, '/grpc.health.v1.Health/Check', request));
  return reader.len > 0 && reader.uint32() === 0x08 ? reader.int32() : 0;
}

/** The names that gRPC reflection lists. */
export async function reflectedServices(address: string): Promise<string[]> {
  const client = new Client(address, credentials.createInsecure(), proxyChannelOptions(address));
  try {
    const call = client.makeBidiStreamRequest(
      '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
      asIs,
      asIs,
    );
    const response = new Promise<Buffer>((resolve, reject) =>
      call.once('data', resolve).once('error', reject),
    );
    // ServerReflectionRequest.list_services, field 7.
    call.write(Buffer.from(new BinaryWriter().uint32(0x3a).string('*').finish()));
    const text = (await response).toString('latin1');
    call.end();
    return text.match(/[a-z_]+(?:\.[a-z0-9_]+)+\.[A-Z][A-Za-z]+/g) ?? [];
  } finally {
    client.close();
  }
}

/** Calls a method with raw bytes; rejects with the grpc-js error. */
export function unary(address: string, method: string, request: Buffer): Promise<Buffer> {
  const client = new Client(address, credentials.createInsecure(), proxyChannelOptions(address));
  return new Promise<Buffer>((resolve, reject) => {
    client.makeUnaryRequest(
      method,
      asIs,
      asIs,
      request,
      { deadline: Date.now() + 10_000 },
      (error: ServiceError | null, value?: Buffer) => {
        if (error) reject(error);
        else resolve(value!);
      },
    );
  }).finally(() => client.close());
}
