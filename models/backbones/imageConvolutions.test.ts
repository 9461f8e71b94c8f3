import { convolutionFixtures } from './imageFixtures.ts';
import { holdsToPyTorch } from './imageParity.ts';

holdsToPyTorch(convolutionFixtures);
