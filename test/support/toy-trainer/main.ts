/** `node dist/test/support/toy-trainer/main.js --listen … --root … --state …` */
import { runTrainer } from '../../../trainer/host/host';

void runTrainer({ name: 'toy-trainer', engine: require.resolve('./engine') });
