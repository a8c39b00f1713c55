// Stands for @rjsf/validator-ajv8, which @rjsf/core's test helper alone asks for: see validator.ts.
export default undefined
