// One function, however it is loaded: this file only names what testing.js has.
export { checkProvider } from './testing.js'
