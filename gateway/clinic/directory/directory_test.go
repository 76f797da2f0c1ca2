package directory_test

import (
	"fmt"
	"strings"
	"testing"

	. "postern/gateway/clinic/directory"
)

func TestReadCSV(t *testing.T) {
	for situation, file := range map[string]string{
		"plain":                    "name,address,organization\nAna Lee,lee@direct.a.example,Riverside\n",
		"a spreadsheet's mark":     "\xef\xbb\xbfName,Direct Address,Practice\r\nAna Lee,lee@direct.a.example,Riverside\r\n",
		"semicolons":               "practice;email;full name\nRiverside;lee@direct.a.example;Ana Lee\n",
		"blank lines and fields":   "name,address,organization,fax\n,,,\nAna  Lee,lee@direct.a.example, Riverside ,\n\n",
		"quoted with a line break": "name,address,organization\n\"Ana\nLee\",lee@direct.a.example,Riverside\n",
	} {
		t.Run(situation, func(t *testing.T) {
			got, flaws := ReadCSV(strings.NewReader(file))
			if len(flaws) > 0 || len(got) != 1 || got[0].Label() != "Ana Lee, Riverside" || got[0].Address.String() != "lee@direct.a.example" ||
				got[0].Kind != Person || got[0].Source != Imported {
				t.Fatalf("%+v %v", got, flaws)
			}
		})
	}
}

func TestReadCSVRefusesWhole(t *testing.T) {
	const head, good = "name,address\n", "Ana Lee,lee@direct.a.example\n"
	many := head
	for i := range MaxRows + 1 {
		many += fmt.Sprintf("N,n%d@a.example\n", i)
	}
	for situation, c := range map[string]struct {
		file string
		line int
		text string
	}{
		"empty":                {"", 1, "must name the columns"},
		"no address column":    {"name,phone\nA,1\n", 1, `"address" is missing`},
		"an unknown column":    {"name,address,shoe size\n" + good, 1, `"shoe size" is not known`},
		"a column twice":       {"name,address,email\n" + good, 1, "twice"},
		"only the first line":  {head, 1, "names nobody"},
		"a bad address":        {head + good + "B,not an address\n", 3, `"not an address" is no Direct address`},
		"no name":              {head + ",lee@direct.a.example\n", 2, "a name is needed"},
		"no address":           {head + "Ana,\n", 2, "a Direct address is needed"},
		"a strange kind":       {"name,address,kind\nA,a@a.example,robot\n", 2, "person, department or partner"},
		"the same address":     {head + good + "Other,LEE@direct.a.example\n", 3, "line 2 already"},
		"too many fields":      {head + "A,a@a.example,x\n", 2, "3 fields, the first line names 2"},
		"an open quote":        {head + "\"A,a@a.example\n", 2, "quotation mark"},
		"a field without end":  {head + strings.Repeat("x", MaxField+1) + ",a@a.example\n", 2, "at most 200"},
		"not text":             {head + "A\x00b,a@a.example\n", 2, "no text"},
		"too many lines":       {many, MaxRows + 2, "more than 10000 lines"},
		"larger than a book":   {head + strings.Repeat("x", MaxFile), 1, "larger than 5 MB"},
		"a picture":            {"\x89PNG\r\n\x1a\n\x00\x00", 1, "not known"},
		"wrong from the start": {head + strings.Repeat("x,y\n", 100), 2, "no Direct address"},
	} {
		t.Run(situation, func(t *testing.T) {
			got, flaws := ReadCSV(strings.NewReader(c.file))
			if len(got) != 0 || len(flaws) == 0 || flaws[0].Line != c.line || !strings.Contains(flaws[0].Error(), c.text) || len(flaws) > 50 {
				t.Fatalf("%d entries, %.200v; want line %d with %q", len(got), flaws, c.line, c.text)
			}
		})
	}
}
