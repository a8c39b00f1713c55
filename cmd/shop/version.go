package main

import "runtime/debug"

// version is set by the linker, see the Makefile.
var version string

// programVersion is what the program was built from: the linker's word, else
// the module's version, else the commit.
func programVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && info.Main.Version == "(devel)" {
			return s.Value[:min(12, len(s.Value))]
		}
	}
	return info.Main.Version
}

type versionCommand struct{}

func (versionCommand) Run(s *session) error {
	if s.JSON {
		return s.printJSON(map[string]string{"version": programVersion()})
	}
	s.printf("shop %s\n", programVersion())
	return nil
}
