//! Names under this host's domains that nobody signs up with: those of machines and mail boxes, those that pretend to
//! speak for the host, and words that addresses of the site itself use or may come to use. Only labels of 3 to 18
//! characters stand here, because others are refused anyway.

/// Whether a label is kept free. Hyphens do not make it another word.
pub(super) fn is_reserved(label: &str) -> bool {
    let known = |word: &str| NAMES.binary_search(&word).is_ok();
    known(label) || (label.contains('-') && known(&label.replace('-', "")))
}

/// In the order of their bytes.
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "about", "abuse", "academy", "access", "account", "accounts", "activate", "activity", "actor", "actors",
    "admin", "admin1", "administrator", "administrators", "admins", "ads", "advert", "advertise",
    "advertising", "affiliate", "affiliates", "agent", "agents", "alert", "alerts", "all", "analytics",
    "android", "announce", "announcement", "announcements", "anon", "anonymous", "anyone", "anything",
    "api", "apis", "app", "appeal", "appeals", "apps", "appview", "archive", "archives", "article",
    "articles", "asset", "assets", "atproto", "atprotocol", "audit", "audit-log", "auth", "authentication",
    "authorization", "authorize", "autoconfig", "autodiscover", "autoreply", "avatar", "avatars", "backend",
    "backup", "backups", "badge", "badges", "ban", "banned", "banner", "beta", "billing", "billing-team",
    "blob", "blobs", "block", "blocked", "blocks", "blog", "blogs", "bluesky", "board", "bookmarks", "bot",
    "bots", "bounce", "bounces", "broadcast", "broadcasthost", "bsky", "bug", "bugs", "business", "cache",
    "calendar", "campaign", "cancel", "captcha", "career", "careers", "cart", "category", "cdn", "cdn1",
    "cdn2", "ceo", "certificate", "cfo", "channel", "channels", "chat", "check", "checkout", "client",
    "clients", "cname", "code", "community", "compliance", "config", "configuration", "confirm",
    "confirmation", "connect", "console", "contact", "contacts", "content", "coo", "cookie", "cookies",
    "copyright", "core", "corp", "corporate", "css", "cto", "customer", "customer-service",
    "customer-support", "customers", "customerservice", "customersupport", "dashboard", "data", "database",
    "deactivate", "debug", "default", "delete", "deleted", "demo", "deploy", "dev", "dev1", "dev2", "devel",
    "developer", "developers", "development", "device", "devices", "did", "directory", "disabled",
    "discover", "dkim", "dmarc", "dns", "doc", "docs", "documentation", "domain", "domains", "donate",
    "download", "downloads", "dpo", "draft", "drafts", "edit", "editor", "email", "emails", "embed",
    "emergency", "employee", "enterprise", "entryway", "error", "errors", "event", "events", "everyone",
    "example", "explore", "export", "external", "faq", "faqs", "features", "federation", "feed", "feedback",
    "feeds", "file", "files", "finance", "firehose", "firewall", "follow", "follower", "followers",
    "following", "forgot", "form", "forum", "forums", "founder", "fraud", "free", "friends", "ftp",
    "function", "gateway", "gateway1", "gdpr", "general", "get", "git", "github", "gitlab", "google",
    "graph", "group", "groups", "guest", "guests", "guide", "guidelines", "handle", "handles", "health",
    "healthcheck", "help", "help-center", "helpcenter", "helpdesk", "helper", "here", "home", "homepage",
    "host", "hosting", "hostmaster", "hosts", "html", "http", "https", "icon", "icons", "identity", "image",
    "images", "imap", "imap1", "img", "img1", "img2", "impersonation", "impressum", "imprint", "inbox",
    "index", "info", "information", "infosec", "install", "instance", "internal", "invitation",
    "invitations", "invite", "invites", "invoice", "ios", "ipv4", "ipv6", "irc", "isatap", "issue",
    "issues", "javascript", "jetstream", "job", "jobs", "join", "json", "key", "keys", "kids", "knowledge",
    "label", "labeler", "labelers", "labels", "landing", "language", "law", "law-enforcement", "lawyer",
    "ldap", "legal", "legal-team", "lexicon", "lexicons", "library", "license", "licenses", "like", "likes",
    "link", "links", "list", "lists", "live", "local", "localdomain", "localhost", "log", "login", "logins",
    "logo", "logos", "logout", "logs", "mail", "mailbox", "mailer", "mailer-daemon", "mailerdaemon",
    "maintenance", "man", "manage", "management", "manager", "map", "maps", "market", "marketing", "master",
    "media", "member", "members", "message", "messages", "messenger", "meta", "metrics", "migrate",
    "migration", "mirror", "mobile", "mod", "moderation", "moderator", "moderators", "mods", "module",
    "monitor", "monitoring", "mta", "mta-sts", "music", "mx1", "mx2", "mx3", "myaccount", "mysql", "name",
    "names", "nameserver", "network", "networks", "never", "new", "news", "newsletter", "no-reply",
    "nobody", "noc", "node", "nodes", "none", "noreplies", "noreply", "notes", "notice", "notification",
    "notifications", "notify", "ns1", "ns2", "ns3", "ns4", "null", "oauth", "official", "official-account",
    "ombudsman", "oops", "open", "openid", "operator", "ops", "order", "orders", "org", "organization",
    "origin", "outbox", "owner", "owners", "ozone", "page", "pages", "panel", "parent", "partner",
    "partners", "passkey", "passkeys", "password", "passwords", "pay", "payment", "payments", "pds", "pds1",
    "people", "perl", "phishing", "phone", "photo", "photos", "php", "ping", "pki", "plan", "plans", "plc",
    "police", "policies", "policy", "pop", "pop3", "popular", "portal", "post", "postfix", "postgres",
    "postgresql", "postmaster", "posts", "premium", "press", "press-office", "preview", "pricing",
    "principal", "print", "privacy", "privacy-policy", "private", "pro", "prod", "product", "production",
    "products", "profile", "profiles", "project", "projects", "promo", "proxy", "proxy1", "public",
    "purchase", "push", "qa1", "query", "queue", "quota", "random", "rate", "readonly", "recover",
    "recovery", "redirect", "refund", "refunds", "register", "registration", "relay", "relays", "release",
    "releases", "remove", "replies", "reply", "repo", "report", "reports", "repos", "request", "requests",
    "reserved", "reset", "resolve", "resolver", "rest", "restore", "root", "root-admin", "router", "rss",
    "rsync", "rules", "safety", "safety-team", "sales", "sample", "sandbox", "save", "script", "scripts",
    "sdk", "search", "secret", "secure", "security", "security-team", "select", "self", "sendmail",
    "server", "servers", "service", "service-account", "services", "session", "sessions", "setting",
    "settings", "setup", "sftp", "shop", "signin", "signout", "signup", "site", "sitemap", "sites", "smtp",
    "smtp1", "smtp2", "social", "software", "source", "spam", "spec", "specs", "spf", "sql", "ssh", "ssl",
    "sso", "staff", "staff-team", "staging", "standards", "start", "stat", "static", "static1", "static2",
    "statistics", "stats", "status", "store", "stories", "stream", "streams", "style", "styles",
    "subdomain", "submit", "subscribe", "subscribers", "subscription", "superuser", "support",
    "support-team", "survey", "suspend", "suspended", "svn", "sync", "sys-admin", "sysadmin", "sysadmins",
    "system", "system-admin", "systems", "tablet", "tag", "tags", "takedown", "tap", "task", "tasks",
    "team", "teams", "tech", "telnet", "template", "templates", "terms", "terms-of-service", "test",
    "tester", "testing", "tests", "thread", "threads", "ticket", "tickets", "timeline", "tls", "token",
    "tokens", "tool", "tools", "topic", "topics", "tos", "trademark", "translate", "translations",
    "trending", "trust", "trust-and-safety", "trust-safety", "trustandsafety", "tutorial", "uat",
    "undefined", "unfollow", "unknown", "unsubscribe", "update", "updates", "upgrade", "upload", "uploads",
    "usenet", "user", "username", "users", "uucp", "validate", "validation", "vendor", "verification",
    "verified", "verifier", "verify", "version", "video", "videos", "vpn", "wap", "warning", "web",
    "webapp", "webhook", "webhooks", "webmail", "webmaster", "webmasters", "website", "websites", "welcome",
    "well-known", "whois", "widget", "widgets", "wiki", "work", "worker", "workers", "world", "wpad", "www",
    "www1", "www2", "www3", "www4", "wwww", "xml", "xmpp", "xrpc", "you", "your", "yourname",
    "yourusername",
];

#[cfg(test)]
mod tests {
    use super::{NAMES, is_reserved};

    #[test]
    fn sorted_once_each_and_possible() {
        for pair in NAMES.windows(2) {
            assert!(pair[0] < pair[1], "{} does not stand before {}", pair[0], pair[1]);
        }
        for name in NAMES {
            assert!((3..=18).contains(&name.len()), "{name}");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{name}"
            );
            assert!(is_reserved(name));
        }
    }

    #[test]
    fn hyphens_hide_nothing() {
        for name in ["ad-min", "sup-port", "s-e-curity", "no-reply", "well-known"] {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["alice", "bob-smith", "administrata", "helpful"] {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
