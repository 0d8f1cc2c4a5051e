// Imported once so that Node's ES module loader is up before anything is measured.
export {}
