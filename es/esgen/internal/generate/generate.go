// Package generate reads a plugin's folder and writes what [onlineshop/es/esgen]
// promises. It looks at syntax only, since what it writes and what it reads
// refer to each other.
package generate

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const generatedSuffix = "_gen.go"

// Plugin generates the plugin in folder: the files that changed are written,
// those of components that are gone are removed. Where something is wrong, an
// [*Error] lists all of it, and nothing is touched.
func Plugin(folder string) error {
	files, err := Files(folder)
	if err != nil {
		return err
	}
	for name, text := range files {
		if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, text) {
			continue
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return fmt.Errorf("writing generated code: %w", err)
		}
	}
	return removeStale(folder, files)
}

// Files are the generated files by name, which begins with folder's absolute path.
func Files(folder string) (map[string][]byte, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	m, err := openModule(folder)
	if err != nil {
		return nil, err
	}
	if of, ok := m.isCollection(folder); ok {
		return m.collection(of, folder)
	}
	p, err := m.read(folder)
	if err != nil {
		return nil, err
	}
	if err := m.err(); err != nil {
		return nil, err
	}
	writers := map[*pkg]*writer{}
	for _, q := range p.packages {
		writers[q] = newWriter(m, q)
	}
	for _, a := range p.aggregates {
		if err := p.writeAggregate(writers[a.pkg], a); err != nil {
			return nil, err
		}
	}
	for _, x := range p.points {
		p.writePoint(writers[x.pkg], x)
	}
	for _, d := range p.rows {
		p.writeRow(writers[d.file.pkg], d)
	}
	files := map[string][]byte{}
	for q, w := range writers {
		w.writeCodecs()
		if w.body.Len() == 0 {
			continue
		}
		if files[filepath.Join(m.dir(q.path), q.name+generatedSuffix)], err = w.source(); err != nil {
			return nil, err
		}
	}
	if p.shared {
		return files, m.err()
	}
	name := filepath.Join(folder, "plugin"+generatedSuffix)
	if files[name] != nil {
		m.mistake(p.pkg.files[0].Package, "a plugin's package can't be called plugin and declare components itself: both want %s", filepath.Base(name))
	}
	composition := newWriter(m, p.pkg)
	if err := p.writePlugin(composition); err != nil {
		return nil, err
	}
	if files[name], err = composition.source(); err != nil {
		return nil, err
	}
	return files, m.err()
}

// collection is the generated file of a folder of plugins.
func (m *module) collection(of *pkg, folder string) (map[string][]byte, error) {
	all, err := m.pluginsIn(folder)
	if err == nil {
		m.checkRefs(all, true)
		err = m.err()
	}
	if err != nil {
		return nil, err
	}
	w := newWriter(m, of)
	m.writeCollection(w, all)
	source, err := w.source()
	if err == nil {
		err = m.err()
	}
	return map[string][]byte{filepath.Join(folder, of.name+generatedSuffix): source}, err
}

// removeStale deletes files that an earlier run wrote and this one did not.
func removeStale(folder string, keep map[string][]byte) error {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	m, err := openModule(folder)
	if err != nil {
		return err
	}
	_, collection := m.isCollection(folder)
	return filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != folder && collection {
			return filepath.SkipDir // the plugins' own
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, generatedSuffix) || keep[path] != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || !bytes.HasPrefix(text, []byte(header)) {
			return err
		}
		return os.Remove(path)
	})
}
