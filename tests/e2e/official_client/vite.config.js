// The page may be served from any path.
export default { base: "./" };
