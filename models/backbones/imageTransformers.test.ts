import { transformerFixtures } from './imageFixtures.ts';
import { holdsToPyTorch } from './imageParity.ts';

holdsToPyTorch(transformerFixtures);
