//! What to change in the usual proxies. The whole files are in `deploy/proxy`.

/// The fix for each proxy, in one paragraph.
pub(super) fn each(caddy: &str, nginx: &str, traefik: &str) -> String {
    format!("Caddy: {caddy} -- nginx: {nginx} -- Traefik: {traefik} (whole files: deploy/proxy)")
}

/// Nothing answers, or not this node.
pub(super) fn upstream(name: &str, port: u16) -> String {
    each(
        &format!("`{name} {{ reverse_proxy 127.0.0.1:{port} }}`, then `systemctl reload caddy`"),
        &format!(
            "`proxy_pass http://127.0.0.1:{port};` in the server block of {name}, then `nginx -s reload`"
        ),
        &format!("a router with rule Host(`{name}`) and a service with the server http://127.0.0.1:{port}"),
    )
}

/// The certificate is missing, old or of another name.
pub(super) fn certificate(name: &str) -> String {
    each(
        &format!(
            "it fetches one by itself once ports 80 and 443 of {name} lead to it; `journalctl -u caddy` says what keeps it"
        ),
        &format!("`certbot --nginx -d {name}`, and let `certbot renew` run by its timer"),
        "tls.certResolver on the router, and the resolver's ACME challenge reachable on port 80 or 443",
    )
}

/// The host name that was asked for does not arrive.
pub(super) fn host_header() -> String {
    each(
        "it passes the name on by itself: take `header_up Host` out",
        "`proxy_set_header Host $host;`",
        "`passHostHeader: true` at the load balancer",
    )
}

/// Who asks is not passed on.
pub(super) fn client_address() -> String {
    each(
        "it passes that on by itself: take `header_up -X-Forwarded-For` out",
        "`proxy_set_header X-Forwarded-For $remote_addr;`",
        "it passes that on by itself: take a `headers` middleware that removes X-Forwarded-For off this router",
    )
}

/// WebSockets do not come through.
pub(super) fn websocket() -> String {
    each(
        "it passes them on by itself: take any `header_up Connection` and `Upgrade` out",
        "`proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \
         $p2pds_connection; proxy_read_timeout 1h;` with the map of deploy/proxy/nginx.conf",
        "it passes them on by itself: take a `buffering` middleware off this router",
    )
}

/// Large bodies are refused before they arrive.
pub(super) fn uploads() -> String {
    each(
        "take `request_body max_size` out, or raise it above blobstore.upload_limit",
        "`client_max_body_size 0; proxy_request_buffering off;` (its default is 1 MB)",
        "take a `buffering` middleware with maxRequestBodyBytes off this router",
    )
}

/// Certificates for all names under a handle domain.
pub(super) fn handle_names(domain: &str, port: u16) -> String {
    each(
        &format!(
            "`on_demand_tls {{ ask http://127.0.0.1:{port}/tls-check }}` in the global options and a site `*{domain} \
             {{ tls {{ on_demand }} reverse_proxy 127.0.0.1:{port} }}`"
        ),
        &format!("`server_name *{domain};` and a certificate for *{domain} (certbot with a DNS plugin)"),
        &format!(
            "a router with rule HostRegexp(`^.+{}$`) and a resolver with a DNS challenge for *{domain}",
            domain.replace('.', "\\.")
        ),
    )
}
