/** A file of its own, so that the build has a chunk of this name, which is fetched once the page is open. */
export { MPEGDecoder } from 'mpg123-decoder';
