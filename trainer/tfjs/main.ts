/** `node dist/trainer/tfjs/main.js --listen … --root … --state …`: the TensorFlow.js trainer. */
import { runTrainer } from '../host/host';

void runTrainer({ name: 'sa-orch tfjs trainer', engine: require.resolve('./engine') });
