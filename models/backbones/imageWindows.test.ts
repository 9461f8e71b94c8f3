import { windowFixtures } from './imageFixtures.ts';
import { holdsToPyTorch } from './imageParity.ts';

holdsToPyTorch(windowFixtures);
