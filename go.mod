module onlineshop

go 1.26.0

require github.com/go-json-experiment/json v1.27.2

require (
	github.com/anishathalye/porcupine v1.3.1 // indirect
	github.com/google/go-cmp v0.7.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
)
