package roles

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// permission is one action that a function may perform on one resource.
type permission struct {
	function         string // as the stack's template calls it
	role, policy     string
	action, resource string
	condition        string // as JSON; "": always
}

func (p permission) String() string {
	s := fmt.Sprintf("%s may %s on %s", p.function, p.action, short(p.resource))
	if p.condition != "" {
		s += " where " + p.condition
	}
	return s
}

var made = regexp.MustCompile(`arn:aws:[a-z0-9]+:[a-z0-9-]*:[0-9]*:|(?i:shop-)|-?[0-9A-Fa-f]{8}-[0-9A-Fa-f]+|function:|table/|log-group:`)

// short is a resource as people know it.
func short(arn string) string { return made.ReplaceAllString(arn, "") }

// rights are what the stack lets its functions do.
type rights struct {
	all       []permission
	functions map[string]string // physical names, by role
}

// statement is one of a policy, as IAM keeps it.
type statement struct {
	Effect           string
	Action, Resource any
	Condition        json.RawMessage `json:",omitempty"`
}

type policy struct {
	Version   string
	Statement []statement
}

// granted reads the roles of the functions.
func (s *deployment) granted(ctx context.Context) (r rights, err error) {
	r.functions = map[string]string{}
	pages := lambda.NewListFunctionsPaginator(s.lambda, &lambda.ListFunctionsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return r, err
		}
		for _, f := range page.Functions {
			role := (*f.Role)[strings.LastIndex(*f.Role, "/")+1:]
			r.functions[role] = *f.FunctionName
			list, err := s.iam.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: &role})
			if err != nil {
				return r, fmt.Errorf("policies of %s: %w", role, err)
			}
			for _, name := range list.PolicyNames {
				out, err := s.iam.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: &role, PolicyName: &name})
				if err != nil {
					return r, fmt.Errorf("policy %s of %s: %w", name, role, err)
				}
				text, err := url.QueryUnescape(*out.PolicyDocument)
				if err != nil {
					return r, err
				}
				var p policy
				if err := json.Unmarshal([]byte(text), &p); err != nil {
					return r, fmt.Errorf("policy %s of %s: %w", name, role, err)
				}
				for _, st := range p.Statement {
					for _, action := range listed(st.Action) {
						for _, on := range listed(st.Resource) {
							r.all = append(r.all, permission{short(*f.FunctionName), role, name, action, on, string(st.Condition)})
						}
					}
				}
			}
		}
	}
	slices.SortFunc(r.all, func(a, b permission) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	r.all = slices.Compact(r.all)
	return r, nil
}

// listed is a value that stands alone where it is the only one.
func listed(v any) (all []string) {
	if one, ok := v.(string); ok {
		return []string{one}
	}
	for _, x := range v.([]any) {
		all = append(all, x.(string))
	}
	return all
}

// withheld are the permissions that are taken away at the moment.
var withheld = map[permission]bool{}

// withhold takes a permission away; the function is given to the same policy again.
func (s *deployment) withhold(ctx context.Context, p permission, away bool) error {
	withheld[p] = away
	left := policy{Version: "2012-10-17"}
	for _, x := range s.rights.all {
		if x.role == p.role && x.policy == p.policy && !withheld[x] {
			left.Statement = append(left.Statement, statement{"Allow", x.action, x.resource, json.RawMessage(x.condition)})
		}
	}
	if left.Statement == nil { // a policy may not be empty
		left.Statement = []statement{{"Deny", "sts:GetFederationToken", "*", nil}}
	}
	text, err := json.Marshal(left)
	if err != nil {
		return err
	}
	_, err = s.iam.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &p.role, PolicyName: &p.policy, PolicyDocument: awssdk.String(string(text))})
	return err
}

// restart has the function's next call find a process that remembers nothing.
func (s *deployment) restart(ctx context.Context, function string) error {
	_, err := s.lambda.UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{
		FunctionName: &function, MemorySize: awssdk.Int32(512), // a change of what a process is told or given ends those that run
	})
	return err
}

// asked is one thing that a role asked for.
type asked struct {
	Role, Action, Resource string
	Denied                 bool
}

// of says whether that permission is what was asked for.
func (a asked) of(p permission) bool {
	return a.Role == p.role && a.Action == p.action && matches(p.resource, a.Resource)
}

// matches says whether a policy's pattern covers the resource.
func matches(pattern, resource string) bool {
	before, after, wild := strings.Cut(pattern, "*")
	return pattern == resource || wild && strings.HasPrefix(resource, before) && strings.HasSuffix(resource, after)
}

// listener hears what roles ask for from now on.
type listener struct {
	from int64
	rest []byte
}

func listen() (*listener, error) {
	f, err := os.Open(os.Getenv("SHOP_ROLES_RIGHTS"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	at, err := f.Stat()
	if err != nil {
		return nil, err
	}
	// A line that is being written begins before the file's end; none is this long.
	last := make([]byte, min(at.Size(), 64<<10))
	if _, err := f.ReadAt(last, at.Size()-int64(len(last))); err != nil {
		return nil, err
	}
	end := bytes.LastIndexByte(last, '\n') + 1
	return &listener{from: at.Size() - int64(len(last)-end)}, nil
}

// heard is what is new.
func (l *listener) heard() (all []asked, err error) {
	f, err := os.Open(os.Getenv("SHOP_ROLES_RIGHTS"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Seek(l.from, io.SeekStart); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	l.from += int64(len(b))
	lines := slices.Concat(l.rest, b)
	end := bytes.LastIndexByte(lines, '\n') + 1
	l.rest = bytes.Clone(lines[end:]) // one that is being written
	for line := range bytes.Lines(lines[:end]) {
		var a asked
		if err := json.Unmarshal(line, &a); err != nil {
			return nil, fmt.Errorf("what roles asked for: %w: %s", err, line)
		}
		all = append(all, a)
	}
	return all, nil
}
