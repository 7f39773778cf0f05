/** Traces of a sweep, as a collector gets them: OTLP over HTTP. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { writeFilmReviews } from '../support/film-reviews';
import { describeTrainer, TrainerPlace } from '../support/trainer-process';
import { Workplace } from '../support/workplace';

interface Span {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: { stringValue?: string } }[];
}
interface Request {
  resourceSpans: { resource: Pick<Span, 'attributes'>; scopeSpans: { spans: Span[] }[] }[];
}

describeTrainer('traces', () => {
  let place: Workplace;
  let toy: TrainerPlace;
  let collector: Server;
  const spans: Span[] = [];
  const services = new Set<string | undefined>();

  beforeAll(async () => {
    collector = createServer((request, response) => {
      expect(request.url).toBe('/v1/traces');
      void json(request).then((body) => {
        for (const { resource, scopeSpans } of (body as Request).resourceSpans) {
          services.add(find(resource, 'service.name'));
          spans.push(...scopeSpans.flatMap((scope) => scope.spans));
        }
        response.end('{}');
      });
    }).listen(0, '127.0.0.1');
    await once(collector, 'listening');
    const { port } = collector.address() as AddressInfo;
    toy = new TrainerPlace();
    await toy.start([], 'toy');
    const env = {
      HF_HUB_OFFLINE: '1',
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    };
    place = new Workplace(join(toy.folder, 'place'), env, toy.root);
    writeFilmReviews(place.folder, { adapter: '{ kind: head_only }', seeds: '[1, 2]' });
  });
  afterAll(async () => {
    await place.down();
    await toy.remove();
    collector.close();
  });

  const find = ({ attributes }: Pick<Span, 'attributes'>, name: string) =>
    attributes.find(({ key }) => key === name)?.value.stringValue;

  test('are one of a sweep, from its workflow to its jobs on trainers', async () => {
    const { status, stderr } = await place.run([
      ...['start', '--sweep', 's.yaml', '--trainer', toy.address],
    ]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    // What the worker still has comes at its end.
    await place.down();
    expect(services).toEqual(new Set(['sa-orch-worker']));

    const [sweep] = spans.filter(({ name }) => name === 'RunWorkflow:sweep');
    const byId = new Map(spans.map((span) => [span.spanId, span]));
    expect(byId.size).toBe(spans.length);
    const ancestors = (span: Span): string[] => {
      const parent = span.parentSpanId && byId.get(span.parentSpanId);
      return parent ? [parent.name, ...ancestors(parent)] : [];
    };
    const jobs = spans.filter(({ name }) => name.startsWith('job '));
    expect(jobs.map(({ name }) => name).toSorted()).toEqual([
      'job predict',
      'job prune',
      'job train',
    ]);
    for (const job of jobs) {
      expect(job.traceId).toBe(sweep!.traceId);
      expect(ancestors(job)).toEqual([
        'RunActivity:runJob',
        'RunWorkflow:cohort',
        'RunWorkflow:sweep',
      ]);
      expect(find(job, 'sa_orch.trainer')).toBe(toy.address);
      expect(find(job, 'sa_orch.state')).toBe('succeeded');
      expect(BigInt(job.startTimeUnixNano)).toBeGreaterThanOrEqual(
        BigInt(sweep!.startTimeUnixNano),
      );
      expect(BigInt(job.endTimeUnixNano)).toBeLessThanOrEqual(BigInt(sweep!.endTimeUnixNano));
    }
    const [pool] = spans.filter(({ name }) => name === 'SignalWithStartWorkflow:pool');
    expect(pool!.traceId).toBe(sweep!.traceId);
  });
});
