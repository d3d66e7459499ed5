# An image for `docker load`: the program and certificates, not root.
{ dockerTools, p2pds }:

dockerTools.buildLayeredImage {
  name = "p2pds";
  tag = "latest";
  contents = [ p2pds dockerTools.caCertificates ];
  fakeRootCommands = "mkdir -p data && chown 65532:65532 data && chmod 700 data";
  config = {
    Entrypoint = [ "/bin/p2pds" ];
    Cmd = [ "serve" ];
    User = "65532:65532";
    WorkingDir = "/data";
    Env = [ "P2PDS_DATA_DIR=/data" "P2PDS_BIND=0.0.0.0" "P2PDS_PORT=3000" "P2PDS_LOG_FORMAT=json" ];
    Volumes."/data" = { };
    ExposedPorts."3000/tcp" = { };
    Healthcheck.Test = [ "CMD" "/bin/p2pds" "health" ];
  };
}
