#!/usr/bin/env bash
# Installs LocalStack 4.14.0, the last one that runs without an account, into the
# folder $1: from PyPI and Maven Central, with pinned versions, to run without
# Docker. What is there already stays. $PYTHON is a Python 3.13, $JAVA_HOME a JDK.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" && cd "$1"
lib=fs/var/lib/localstack/lib # where LocalStack looks for what it would download
pinned=$(cat "$here"/*.lock "$here/pom.xml" "$here/ddb/"* "$here/install.sh" | cksum)
[ "$(cat installed 2>/dev/null)" = "$pinned" ] || {
  echo "--- installing LocalStack and DynamoDB Local in $PWD"
  rm -rf installed venv fs build

  # uv, since pip takes minutes for this list, and builds with whatever is newest.
  "$PYTHON" -m venv venv
  venv/bin/pip install -q --disable-pip-version-check --require-hashes -r "$here/uv.lock"
  VIRTUAL_ENV=$PWD/venv venv/bin/uv pip install -q --require-hashes --build-constraint "$here/requirements.lock" -r "$here/requirements.lock"

  # DynamoDB Local with a main class that listens on loopback; the same class is
  # the Java agent that LocalStack starts it with.
  ddb=$lib/dynamodb-local/2
  mkdir -p "$ddb" build/classes "$lib/java"
  mvn -q -B -C -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$PWD/$ddb/DynamoDBLocal_lib" -DincludeScope=runtime
  for native in "$ddb"/DynamoDBLocal_lib/libsqlite4java-*-1.0.392.*; do
    cp "$native" "${native/-1.0.392/}"
  done
  "$JAVA_HOME/bin/javac" --release 17 -cp "$ddb/DynamoDBLocal_lib/*" -d build/classes "$here/ddb/LoopbackMain.java"
  cp "$here/ddb/log4j2.xml" build/classes/
  {
    echo 'Main-Class: LoopbackMain'
    echo 'Premain-Class: LoopbackMain'
    printf 'Class-Path:'
    for jar in "$ddb"/DynamoDBLocal_lib/*.jar; do printf ' DynamoDBLocal_lib/%s\n ' "$(basename "$jar")"; done # its lines are short
    echo
  } >build/manifest
  "$JAVA_HOME/bin/jar" cfm "$ddb/DynamoDBLocal.jar" build/manifest -C build/classes .
  cp "$ddb/DynamoDBLocal.jar" "$ddb/ddb-local-loader-0.1.jar"
  rm -rf build
  echo "$pinned" >installed
}
ln -sfn "$JAVA_HOME" "$lib/java/21" # LocalStack asks for a Java of its own
packages=$(echo "$PWD"/venv/lib/python3.*/site-packages)
cp -r "$here/plugin/." "$packages/"
venv/bin/python "$here/patch.py" "$packages/localstack"
