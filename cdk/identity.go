package main

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscognito"
	"github.com/aws/jsii-runtime-go"

	"onlineshop/es"
	"onlineshop/platform/aws/wiring"
)

// identity says how the functions that people call tell who is calling, and
// makes the user pool where the stack has its own, whose users sign in at login.
func (s *shop) identity() (env map[string]string, login string) {
	switch s.auth {
	case "none":
		awscdk.Annotations_Of(s.stack).AddWarningV2(jsii.String("shop:auth-none"),
			jsii.String("-c auth=none: everybody who finds the API's address may do everything, as the user local in group Admin"))
		return map[string]string{wiring.Auth: "none"}, ""
	case "jwt":
		return map[string]string{wiring.Auth: "jwt", wiring.JWTIssuer: s.issuer, wiring.JWTAudience: s.audience}, ""
	}
	pool := awscognito.NewUserPool(s.stack, jsii.String("Users"), &awscognito.UserPoolProps{
		SelfSignUpEnabled: jsii.Bool(true), // a shop's customers come by themselves
		SignInAliases:     &awscognito.SignInAliases{Email: jsii.Bool(true)},
		AutoVerify:        &awscognito.AutoVerifiedAttrs{Email: jsii.Bool(true)},
		AccountRecovery:   awscognito.AccountRecovery_EMAIL_ONLY,
		Mfa:               awscognito.Mfa_OPTIONAL,
		MfaSecondFactor:   &awscognito.MfaSecondFactor{Otp: jsii.Bool(true), Sms: jsii.Bool(false)},
		PasswordPolicy: &awscognito.PasswordPolicy{
			MinLength: jsii.Number(12), RequireDigits: jsii.Bool(true), RequireSymbols: jsii.Bool(true),
			RequireLowercase: jsii.Bool(true), RequireUppercase: jsii.Bool(true),
		},
		DeletionProtection: jsii.Bool(!s.destroy),
		RemovalPolicy:      s.removal(),
	})
	awscognito.NewCfnUserPoolGroup(s.stack, jsii.String("Admins"), &awscognito.CfnUserPoolGroupProps{
		UserPoolId: pool.UserPoolId(), GroupName: jsii.String(es.Admin),
		Description: jsii.String("May do everything that the shop declares"),
	})
	prefix := s.login
	if prefix == "" { // what a region has once
		prefix = strings.ToLower(*s.stack.StackName()) + "-" + *s.stack.Account()
	}
	domain := pool.AddDomain(jsii.String("Login"), &awscognito.UserPoolDomainOptions{
		CognitoDomain: &awscognito.CognitoDomainOptions{DomainPrefix: &prefix},
	})
	console := jsii.Strings(s.consoleURL())
	// The page and the command line sign in to one client, which has no secret: one audience.
	client := pool.AddClient(jsii.String("Client"), &awscognito.UserPoolClientOptions{
		AuthFlows: &awscognito.AuthFlow{UserSrp: jsii.Bool(true), AdminUserPassword: jsii.Bool(true)},
		OAuth: &awscognito.OAuthSettings{
			Flows:        &awscognito.OAuthFlows{AuthorizationCodeGrant: jsii.Bool(true)},
			Scopes:       &[]awscognito.OAuthScope{awscognito.OAuthScope_OPENID(), awscognito.OAuthScope_EMAIL(), awscognito.OAuthScope_PROFILE()},
			CallbackUrls: console, LogoutUrls: console,
		},
		GenerateSecret:             jsii.Bool(false),
		PreventUserExistenceErrors: jsii.Bool(true),
	})
	s.output("UserPoolId", pool.UserPoolId(), "Where the users are")
	s.output("UserPoolClientId", client.UserPoolClientId(), "What users sign in to, and the audience of their tokens")
	login = *domain.BaseUrl(nil)
	s.output("LoginUrl", &login, "Where people sign in to the page")
	return map[string]string{wiring.Auth: "jwt", wiring.JWTIssuer: *pool.UserPoolProviderUrl(), wiring.JWTAudience: *client.UserPoolClientId()}, login
}
