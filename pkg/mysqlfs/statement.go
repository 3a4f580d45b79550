package mysqlfs

import (
	"bytes"
	"strings"
)

// A kind says what a statement is about, in SQL's words.
type kind string

const (
	kindOther     kind = ""
	kindUse       kind = "USE"
	kindDatabase  kind = "DATABASE"
	kindTable     kind = "TABLE"
	kindView      kind = "VIEW"
	kindTrigger   kind = "TRIGGER"
	kindProcedure kind = "PROCEDURE"
	kindFunction  kind = "FUNCTION"
	kindPackage   kind = "PACKAGE"
	kindBody      kind = "PACKAGE BODY"
	kindEvent     kind = "EVENT"
	kindSequence  kind = "SEQUENCE"
	kindSetval    kind = "SETVAL"
	kindSet       kind = "SET"
)

// A statement is one from a dump.
type statement struct {
	kind        kind
	name        string // of what is created, or used
	placeholder bool   // of a view, in a view's place
	text        []byte // without the delimiter
}

// parse finds out what a statement is about.
func parse(text []byte) statement {
	st := statement{text: text}
	s := &tokens{text}
	switch first := s.next(); {
	case first.is("USE"):
		st.kind, st.name = kindUse, s.next().text
	case first.is("SET"):
		st.kind = kindSet
	case first.is("CREATE"):
		st.parseCreate(s)
	case first.is("DO"), first.is("SELECT"):
		if s.next().is("SETVAL") && s.next().is("(") {
			st.kind, st.name = kindSetval, s.next().text
		}
	}
	return st
}

// parseCreate reads what follows CREATE: a kind, after what may be said about
// it, and a name.
func (st *statement) parseCreate(s *tokens) {
	plain := true // nothing between CREATE and the kind
	for t := s.next(); t.text != ""; t = s.next() {
		switch k := kind(strings.ToUpper(t.text)); {
		case t.quote != 0:
		case t.is("DEFINER"):
			skipDefiner(s)
		case t.is("SCHEMA"):
			st.kind = kindDatabase
		case k.created():
			st.kind = k
		}
		if st.kind != kindOther {
			break
		}
		plain = false
	}
	st.parseName(s)
	st.placeholder = st.kind == kindView && plain ||
		st.kind == kindTable && bytes.HasPrefix(st.text, []byte("/*!50001"))
}

func (k kind) created() bool {
	switch k {
	case kindDatabase, kindTable, kindView, kindTrigger, kindProcedure, kindFunction, kindPackage, kindEvent, kindSequence:
		return true
	}
	return false
}

// skipDefiner reads "= user@host" behind DEFINER, of which any part may be a
// word that means something elsewhere. SQL SECURITY DEFINER has none.
func skipDefiner(s *tokens) {
	if !s.accept("=") {
		return
	}
	s.next()
	if s.accept("@") {
		s.next()
	}
}

// accept reads the next token if it is that word.
func (s *tokens) accept(word string) bool {
	after := *s
	if !after.next().is(word) {
		return false
	}
	*s = after
	return true
}

// parseName reads the name, which the name of a database may come before.
func (st *statement) parseName(s *tokens) {
	t := s.next()
	if st.kind == kindPackage && t.is("BODY") {
		st.kind, t = kindBody, s.next()
	}
	if t.is("IF") {
		s.next() // NOT
		s.next() // EXISTS
		t = s.next()
	}
	if !t.isName() {
		st.kind = kindOther
		return
	}
	st.name = t.text
	if s.accept(".") {
		st.name = s.next().text
	}
}

// settings are the session's variables that the text of a statement depends
// on, each with its value as it was written.
type settings map[string]string

// sessionVariables are these variables, in the order they are set in.
var sessionVariables = [...]string{
	"character_set_client", "character_set_results", "collation_connection", "sql_mode", "time_zone",
}

// set takes note of a SET statement. A value from a user variable is the one
// from before.
func (s settings) set(text []byte) {
	in := &tokens{text}
	in.next() // SET
	variable := in.next()
	name := strings.ToLower(variable.text)
	if variable.quote != 0 || !in.next().is("=") {
		return
	}
	for _, known := range sessionVariables {
		if name != known {
			continue
		}
		switch value := in.next(); {
		case value.is("@"):
			delete(s, name)
		case value.quote != 0:
			s[name] = "'" + strings.ReplaceAll(value.text, "'", "''") + "'"
		default:
			s[name] = strings.ToLower(value.text)
		}
	}
}

// verbatim reports whether backslashes stand for themselves.
func (s settings) verbatim() bool { return strings.Contains(s["sql_mode"], "NO_BACKSLASH_ESCAPES") }

// statements returns SET statements for those of the variables that s has,
// within version comments, each with delimiter and newline behind it.
func (s settings) statements(version, delimiter string, variables []string) string {
	var b strings.Builder
	for _, name := range variables {
		if value := s[name]; value != "" {
			b.WriteString("/*!" + version + " SET " + name + " = " + value + " */" + delimiter + "\n")
		}
	}
	return b.String()
}
