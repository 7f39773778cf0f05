/** grpc.health.v1.Health of a trainer, for the whole server and for each service. */
import { status } from '@grpc/grpc-js';
import {
  HealthCheckResponse_ServingStatus as ServingStatus,
  type HealthServer,
} from '../../gen/ts/grpc/health/v1/health';
import { Refusal } from './refusals';

export class Health {
  private serving = true;
  private readonly watchers = new Set<() => void>();

  /** names: the services' names. */
  constructor(private readonly names: readonly string[]) {}

  handlers(): HealthServer {
    return {
      check: ({ request }, callback) => {
        const state = this.findState(request.service);
        if (state !== ServingStatus.SERVICE_UNKNOWN) callback(null, { status: state });
        else
          callback(
            new Refusal(
              status.NOT_FOUND,
              `there is no service ${request.service} here`,
            ).asServiceError(),
          );
      },
      watch: (call) => {
        const send = (): void => void call.write({ status: this.findState(call.request.service) });
        this.watchers.add(send);
        call.on('cancelled', () => this.watchers.delete(send));
        send();
      },
    };
  }

  /** Reports NOT_SERVING from now on. */
  stop(): void {
    this.serving = false;
    for (const send of this.watchers) send();
  }

  private findState(service: string): ServingStatus {
    if (service !== '' && !this.names.includes(service)) return ServingStatus.SERVICE_UNKNOWN;
    return this.serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  }
}
