# What a careful author writes by hand for samples/java-spring: dependencies before code, caches mounted, Spring's layers.
FROM localhost/pylife-bench-base AS jdk
USER 0
RUN --mount=type=cache,target=/var/cache/apt --mount=type=cache,target=/var/lib/apt/lists \
    mkdir -p /usr/share/man/man1 && apt-get update && \
    apt-get install -y --no-install-recommends openjdk-17-jdk-headless maven

FROM jdk AS build
# Where the host has a truststore of its own, a company's proxy is in it.
ENV MAVEN_OPTS=-Djavax.net.ssl.trustStore=/run/truststore
WORKDIR /workspace
COPY pom.xml ./
RUN --mount=type=cache,target=/root/.m2 mvn -B -ntp dependency:go-offline
COPY src src
RUN --mount=type=cache,target=/root/.m2 mvn -B -ntp -DskipTests package && \
    java -Djarmode=tools -jar target/tides-1.0.jar extract --layers --launcher --destination /layers

FROM jdk AS jre
RUN jlink --add-modules java.se,jdk.unsupported,jdk.crypto.ec --no-man-pages --no-header-files --output /jre

FROM localhost/pylife-bench-base
COPY --from=jre /jre /jre
WORKDIR /workspace
COPY --from=build /layers/dependencies/ ./
COPY --from=build /layers/spring-boot-loader/ ./
COPY --from=build /layers/snapshot-dependencies/ ./
COPY --from=build /layers/application/ ./
USER 1000
CMD ["/jre/bin/java", "org.springframework.boot.loader.launch.JarLauncher"]
