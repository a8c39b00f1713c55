package platformtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// World is what the library's code and its tests share beside the log. They may
// be in different processes: see [Serve] and [Dial].
type World interface {
	// Curse casts a curse, under which mapping, publication and projections fail
	// on loans to [Cursed], or lifts it.
	Curse(on bool)
	UnderACurse() bool
	// Congratulate notes a side effect on the book at the version.
	Congratulate(book string, version int64)
	// Congratulations are how often there was one, by "<book> at <version>".
	Congratulations(book string) map[string]int
}

// WorldVariable is the environment variable that tells the library's deployed
// functions, and their test, where the world is served.
const WorldVariable = "LIBRARY_WORLD"

// NewWorld is a world in this process.
func NewWorld() World { return &world{congratulated: map[string]int{}} }

type world struct {
	mu            sync.Mutex
	cursed        bool
	congratulated map[string]int
}

func (w *world) Curse(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cursed = on
}

func (w *world) UnderACurse() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cursed
}

func (w *world) Congratulate(book string, version int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.congratulated[fmt.Sprintf("%s at %d", book, version)]++
}

func (w *world) Congratulations(book string) map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]int{}
	for k, n := range w.congratulated {
		if strings.HasPrefix(k, book+" at ") {
			out[k] = n
		}
	}
	return out
}

// wish is what [Dial]'s world asks for, and its answer.
type wish struct {
	Do      string `json:"do"`
	On      bool   `json:"on,omitempty"`
	Book    string `json:"book,omitempty"`
	Version int64  `json:"version,omitempty"`

	Congratulations map[string]int `json:"congratulations,omitempty"`
}

// Serve lets other processes share the world by [Dial].
func Serve(w World) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var x wish
		if err := json.NewDecoder(r.Body).Decode(&x); err != nil {
			http.Error(rw, err.Error(), http.StatusBadRequest)
			return
		}
		switch x.Do {
		case "curse":
			w.Curse(x.On)
		case "cursed":
			x.On = w.UnderACurse()
		case "congratulate":
			w.Congratulate(x.Book, x.Version)
		case "congratulations":
			x.Congratulations = w.Congratulations(x.Book)
		default:
			http.Error(rw, "there is no "+x.Do, http.StatusBadRequest)
			return
		}
		if err := json.NewEncoder(rw).Encode(x); err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
		}
	})
}

// Dial is the world that [Serve] serves at the address. Its methods panic where
// it can't be reached, and so fail whatever asks.
func Dial(address *url.URL) World { return remote{address.String()} }

type remote struct{ address string }

func (r remote) ask(x wish) wish {
	b, err := json.Marshal(x)
	if err != nil {
		panic(err) // strings and numbers
	}
	res, err := http.Post(r.address, "application/json", strings.NewReader(string(b)))
	if err != nil {
		panic(fmt.Errorf("ask the library's world: %w", err))
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode == http.StatusOK {
		err = json.Unmarshal(text, &x)
	}
	if err != nil || res.StatusCode != http.StatusOK {
		panic(fmt.Errorf("ask the library's world for %s: %d %s %w", x.Do, res.StatusCode, text, err))
	}
	return x
}

func (r remote) Curse(on bool)     { r.ask(wish{Do: "curse", On: on}) }
func (r remote) UnderACurse() bool { return r.ask(wish{Do: "cursed"}).On }
func (r remote) Congratulate(book string, version int64) {
	r.ask(wish{Do: "congratulate", Book: book, Version: version})
}
func (r remote) Congratulations(book string) map[string]int {
	got := r.ask(wish{Do: "congratulations", Book: book}).Congratulations
	if got == nil {
		got = map[string]int{}
	}
	return got
}
