#include "tofu/faults.hpp"

#include <gtest/gtest.h>

#include <string>

#include "tofu/errors.hpp"

namespace provisioner::tofu {
namespace {

using enum FailureKind;

struct Message {
  const char* text;  // as the provider, the backend or tofu itself prints it
  FailureKind kind;
  const char* host = "";
};

// Messages of the real tools; account numbers, request ids and names are made up.
const Message kMessages[] = {
    // --- aws
    {"listing tags for EC2 Instance (i-0abc): operation error EC2: DescribeTags, exceeded maximum "
     "number of attempts, 25, https response error StatusCode: 503, RequestID: 1b2c, api error "
     "RequestLimitExceeded: Request limit exceeded.",
     kTransient},
    {"reading Route 53 Record: operation error Route 53: ListResourceRecordSets, https response "
     "error StatusCode: 400, RequestID: 7f1d, api error Throttling: Rate exceeded",
     kTransient},
    {"creating Lambda Function (invoice): InvalidParameterValueException: Your request has been "
     "throttled by EC2, please make sure you have enough API rate limit. EC2 Error Code: "
     "RequestLimitExceeded. EC2 Error Message: Request limit exceeded.\n\tstatus code: 400",
     kTransient},
    {"reading S3 Bucket (logs): operation error S3: HeadBucket, https response error StatusCode: "
     "503, RequestID: 4F1, HostID: x=, api error SlowDown: Please reduce your request rate.",
     kTransient},
    {"operation error ELBv2: DescribeLoadBalancers, https response error StatusCode: 500, "
     "RequestID: "
     "9a, api error InternalFailure: ",
     kTransient},
    {"Retrieving AWS account details: validating provider credentials: retrieving caller identity "
     "from STS: operation error STS: GetCallerIdentity, exceeded maximum number of attempts, 3, "
     "https response error StatusCode: 0, RequestID: , request send failed, Post "
     "\"https://sts.eu-central-1.amazonaws.com/\": dial tcp: lookup sts.eu-central-1.amazonaws.com "
     "on 127.0.0.53:53: read udp 127.0.0.1:40981->127.0.0.53:53: i/o timeout",
     kTransient, "sts.eu-central-1.amazonaws.com"},
    // The generic advice speaks of credentials; what happened is in the last sentence.
    {"Cannot assume IAM Role\nIAM Role (arn:aws:iam::123456789012:role/deploy) cannot be "
     "assumed.\n\n"
     "There are a number of possible causes of this - the most common are:\n  * The credentials "
     "used "
     "in order to assume the role are invalid\n  * The role ARN is not valid\n\nError: operation "
     "error STS: AssumeRole, exceeded maximum number of attempts, 3, https response error "
     "StatusCode: 0, RequestID: , request send failed, Post "
     "\"https://sts.us-east-1.amazonaws.com/\": net/http: TLS handshake timeout",
     kTransient, "sts.us-east-1.amazonaws.com"},
    {"RequestError: send request failed\ncaused by: Post https://sts.amazonaws.com/: dial tcp: "
     "lookup sts.amazonaws.com on 192.168.1.1:53: server misbehaving",
     kTransient, "sts.amazonaws.com"},
    {"operation error EC2: DescribeVpcs, https response error StatusCode: 0, RequestID: , request "
     "send failed, Post \"https://ec2.eu-centrall-1.amazonaws.com/\": dial tcp: lookup "
     "ec2.eu-centrall-1.amazonaws.com on 10.0.0.2:53: no such host",
     kOther, "ec2.eu-centrall-1.amazonaws.com"},  // misspelt
    {"error validating provider credentials: error calling sts:GetCallerIdentity: operation error "
     "STS: GetCallerIdentity, https response error StatusCode: 403, RequestID: 6d1b, api error "
     "ExpiredToken: The security token included in the request is expired",
     kDenied},
    {"creating EC2 Instance: operation error EC2: RunInstances, https response error StatusCode: "
     "403, "
     "RequestID: 55, api error UnauthorizedOperation: You are not authorized to perform this "
     "operation.",
     kDenied},
    {"operation error S3: CreateBucket, https response error StatusCode: 403, RequestID: 2, "
     "HostID: "
     "y=, api error AccessDenied: Access Denied",
     kDenied},
    {"No valid credential sources found\nPlease see "
     "https://registry.terraform.io/providers/hashicorp/aws for more information about providing "
     "credentials.\nError: failed to refresh cached credentials, no EC2 IMDS role found, operation "
     "error ec2imds: GetMetadata, request canceled, context deadline exceeded",
     kDenied},
    {"creating EC2 Instance: operation error EC2: RunInstances, https response error StatusCode: "
     "400, "
     "RequestID: 8, api error VcpuLimitExceeded: You have requested more vCPU capacity than your "
     "current vCPU limit of 32 allows",
     kQuota},
    {"creating EC2 EIP: operation error EC2: AllocateAddress, https response error StatusCode: "
     "400, "
     "RequestID: 3, api error AddressLimitExceeded: The maximum number of addresses has been "
     "reached.",
     kQuota},
    {"creating S3 Bucket (logs): operation error S3: CreateBucket, https response error "
     "StatusCode: "
     "409, RequestID: 5, HostID: z=, api error BucketAlreadyOwnedByYou: Your previous request to "
     "create the named bucket succeeded and you already own it.",
     kExists},
    {"creating IAM Role (deploy): operation error IAM: CreateRole, https response error "
     "StatusCode: "
     "409, RequestID: 6, EntityAlreadyExists: Role with name deploy already exists.",
     kExists},
    {"creating EC2 Instance: operation error EC2: RunInstances, https response error StatusCode: "
     "400, "
     "RequestID: 4, api error InvalidAMIID.NotFound: The image id '[ami-0]' does not exist",
     kOther},
    {"waiting for RDS DB Instance (shop) create: timeout while waiting for state to become "
     "'available' (last state: 'creating', timeout: 40m0s)",
     kOther},

    // --- azurerm
    {"creating/updating Subnet: performing CreateOrUpdate: unexpected status 429 (429 Too Many "
     "Requests) with error: RetryableError: A retryable error occurred.",
     kTransient},
    {"Error retrieving keys: storage.AccountsClient#ListKeys: Failure sending request: "
     "StatusCode=429 -- Original Error: context deadline exceeded",
     kTransient},
    {"retrieving Resource Group \"shop\": unexpected status 503 with error: ServerTimeout: The "
     "request "
     "timed out. Diagnostic information: timestamp '20261123T120000Z'",
     kTransient},
    {"building account: could not acquire access token to parse claims: clientCredentialsToken: "
     "cannot request token: Post "
     "\"https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/oauth2/v2.0/"
     "token\": "
     "dial tcp: lookup login.microsoftonline.com: Temporary failure in name resolution",
     kTransient, "login.microsoftonline.com"},
    {"resources.GroupsClient#Get: Failure responding to request: StatusCode=502 -- Original Error: "
     "Get "
     "\"https://management.azure.com/subscriptions/0/resourcegroups/shop?api-version=2020-06-01\":"
     " read tcp 10.1.0.4:51234->20.50.2.9:443: read: connection reset by peer",
     kTransient, "management.azure.com"},
    {"checking for presence of existing Resource Group: unexpected status 403 (403 Forbidden) with "
     "error: AuthorizationFailed: The client 'x' with object id 'y' does not have authorization to "
     "perform action 'Microsoft.Resources/subscriptions/resourcegroups/read'",
     kDenied},
    {"clientCredentialsToken: received HTTP status 401 with response: "
     "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: Invalid client secret "
     "provided.\"}",
     kDenied},
    {"creating Linux Virtual Machine: unexpected status 409 (409 Conflict) with error: "
     "OperationNotAllowed: Operation could not be completed as it results in exceeding approved "
     "Total Regional Cores quota.",
     kQuota},
    {"A resource with the ID \"/subscriptions/0/resourceGroups/shop\" already exists - to be "
     "managed "
     "via Terraform this resource needs to be imported into the State.",
     kExists},
    {"authorization.RoleAssignmentsClient#Create: Failure responding to request: StatusCode=409 -- "
     "Original Error: autorest/azure: Service returned an error. Status=409 "
     "Code=\"RoleAssignmentExists\" Message=\"The role assignment exists.\"",
     kExists},
    {"creating Kubernetes Cluster: polling after CreateOrUpdate: context deadline exceeded",
     kOther},

    // --- google
    {"Error reading ComputeBackendService \"web\": googleapi: Error 403: Quota exceeded for quota "
     "group 'ReadGroup' and limit 'Read requests per 100 seconds' of service "
     "'compute.googleapis.com' for consumer 'project_number:123456'., rateLimitExceeded",
     kTransient},
    {"Error creating Network: googleapi: Error 503: The service is currently unavailable., "
     "backendError",
     kTransient},
    {"Error waiting for Creating Instance: googleapi: Error 500: Internal error encountered.",
     kTransient},
    {"Error when reading or editing Project Service: Get "
     "\"https://serviceusage.googleapis.com/v1/projects/x/services?alt=json\": net/http: request "
     "canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
     kTransient, "serviceusage.googleapis.com"},
    {"Attempted to load application default credentials since neither `credentials` nor "
     "`access_token` was set: google: could not find default credentials.",
     kDenied},
    {"Error creating Bucket: googleapi: Error 403: x@y.iam.gserviceaccount.com does not have "
     "storage.buckets.create access to the Google Cloud project., forbidden",
     kDenied},
    {"oauth2: cannot fetch token: 400 Bad Request\nResponse: {\"error\":\"invalid_grant\"}",
     kDenied},
    {"Error creating instance: googleapi: Error 403: QUOTA_EXCEEDED - Quota 'CPUS' exceeded. "
     "Limit: "
     "24.0 in region europe-west1.",
     kQuota},
    {"googleapi: Error 429: Quota exceeded for quota metric 'Create requests' and limit 'Create "
     "requests per day' of service 'storagetransfer.googleapis.com'., rateLimitExceeded",
     kQuota},
    {"error creating project prj-dns (prj-dns): googleapi: Error 409: Requested entity already "
     "exists, alreadyExists.",
     kExists},
    {"Error creating Subnetwork: googleapi: Error 400: Invalid value for field "
     "'resource.ipCidrRange'., invalid",
     kOther},

    // --- kubernetes and helm
    {"Post \"https://35.205.221.152/api/v1/namespaces\": net/http: TLS handshake timeout",
     kTransient, "35.205.221.152"},
    {"Get \"https://10.0.0.1:6443/api/v1/namespaces/shop\": dial tcp 10.0.0.1:6443: connect: "
     "connection refused",
     kTransient, "10.0.0.1:6443"},
    {"Get \"https://[2a04:4e42:1a::561]:443/api\": dial tcp [2a04:4e42:1a::561]:443: connect: "
     "network "
     "is unreachable",
     kTransient, "[2a04:4e42:1a::561]"},
    {"Get \"https://ABCDEF.gr7.eu-west-1.eks.amazonaws.com/api/v1/nodes\": context deadline "
     "exceeded",
     kTransient, "abcdef.gr7.eu-west-1.eks.amazonaws.com"},
    {"the server is currently unable to handle the request (503 Service Unavailable)", kTransient},
    {"Unauthorized", kDenied},
    {"namespaces is forbidden: User \"system:anonymous\" cannot create resource \"namespaces\" in "
     "API "
     "group \"\" at the cluster scope",
     kDenied},
    {"pods \"web\" is forbidden: exceeded quota: compute, requested: cpu=2, used: cpu=9, limited: "
     "cpu=10",
     kDenied},  // of the two that forbid a retry, either will do
    {"namespaces \"shop\" already exists", kExists},
    {"Waiting for rollout to finish: 1 out of 3 new replicas have been updated: timed out while "
     "waiting for the condition",
     kOther},

    // --- the registry, and tofu's own words
    {"Failed to query available provider packages\nCould not retrieve the list of available "
     "versions "
     "for provider\nhashicorp/aws: could not connect to registry.terraform.io: Failed to\nrequest "
     "discovery\ndocument: "
     "Get\n\"https://registry.terraform.io/.well-known/terraform.json\":\ncontext "
     "deadline exceeded (Client.Timeout exceeded while awaiting headers)",
     kTransient, "registry.terraform.io"},
    {"Failed to query available provider packages\nCould not retrieve the list of available "
     "versions "
     "for provider hashicorp/random: could not query provider registry for "
     "registry.opentofu.org/hashicorp/random: the request failed after 2 attempts, please try "
     "again "
     "later: 502 Bad Gateway returned from registry.opentofu.org",
     kTransient},
    {"Failed to install provider\nError while installing hashicorp/aws v5.1.0: "
     "github.com: Get \"https://github.com/opentofu/terraform-provider-aws/releases/x.zip\": read: "
     "connection reset by peer",
     kTransient, "github.com"},
    {"Failed to download module\nCould not download module \"vpc\": error downloading "
     "'https://git.example.org/vpc.git': exit status 128: fatal: unable to access "
     "'https://git.example.org/vpc.git/': Failed to connect to git.example.org port 443: "
     "Connection "
     "timed out",
     kTransient, "git.example.org"},
    {"Error acquiring the state lock\nError message: operation error DynamoDB: PutItem, https "
     "response "
     "error StatusCode: 0, RequestID: , request send failed, Post "
     "\"https://dynamodb.eu-west-1.amazonaws.com/\": dial tcp 52.94.5.1:443: i/o timeout",
     kTransient, "dynamodb.eu-west-1.amazonaws.com"},
    {"Error refreshing state: blobs.Client#Get: Failure responding to request: StatusCode=503 -- "
     "Original Error: autorest/azure: Service returned an error. Status=503 Code=\"ServerBusy\"",
     kTransient},

    // --- custom commands
    {"curl: (7) Failed to connect to vault.example.org port 8200: Connection refused", kTransient,
     "vault.example.org"},
    {"GitHub API rate limit exceeded for 203.0.113.9.", kTransient},
    {"make: *** [deploy] Error 2", kOther},
    {"rsync error: some files could not be transferred (code 23)", kOther},
    {"", kOther},
};

TEST(Faults, OfRealProvidersAreTriedAgainOnlyWhereThatMayHelp) {
  for (const Message& message : kMessages) {
    EXPECT_EQ(to_string(kind_of_fault(message.text)), to_string(message.kind)) << message.text;
  }
}

TEST(Faults, NameTheHostTheyAreAbout) {
  for (const Message& message : kMessages) {
    EXPECT_EQ(host_in(message.text), message.host) << message.text;
  }
}

TEST(Faults, ALinkToDocumentationIsNoHost) {
  EXPECT_EQ(host_in("See https://registry.terraform.io/providers/hashicorp/aws for more."), "");
}

TEST(Faults, AUsersNameInAUrlIsNoHost) {
  EXPECT_EQ(host_in("Get \"https://me:secret@git.example.org/x\": connection refused"),
            "git.example.org");
}

TEST(Faults, NumbersThatAreNoStatusAreNotTakenForOne) {
  EXPECT_EQ(kind_of_fault("instance i-503 not found"), kOther);
  EXPECT_EQ(kind_of_fault("on main.tf line 503, in resource"), kOther);
  EXPECT_EQ(kind_of_fault("error code 5031"), kOther);
}

OutputSummary summary_with(std::string summary, std::string detail) {
  OutputSummary result;
  result.errors.push_back({.summary = std::move(summary), .detail = std::move(detail)});
  return result;
}

TEST(Faults, AStateThatCouldNotBeSavedIsForAPerson) {
  const auto summary = summary_with(
      "Failed to save state",
      "Error saving state: failed to upload state: operation error S3: PutObject, https response "
      "error StatusCode: 503, RequestID: 1, api error SlowDown: Please reduce your request rate.");
  const Failure failure = classify_failure({"apply", 1, 0}, summary, "");
  EXPECT_EQ(to_string(failure.kind), "state_unsaved");
  EXPECT_FALSE(failure.is_retryable()) << "tofu would create everything a second time";
}

TEST(Faults, AStateThatAnotherHasLockedIsNotTriedAgain) {
  constexpr const char* kHolders[] = {
      "Error message: ConditionalCheckFailedException: The conditional request failed\nLock "
      "Info:\n  "
      "ID:        f9763602-b03f-e35c-da30-4083cdbb99ae",
      "Error message: state blob is already locked\nLock Info:\n  ID:        "
      "e9eb9ed7-a3bc-ae67-640d-ad4cb06fae7a",
      "Error message: writing \"gs://b/default.tflock\" failed: googleapi: Error 412: At least one "
      "of "
      "the pre-conditions you specified did not hold., conditionNotMet\nLock Info:\n  ID:        1",
      "Error message: the state is already locked by another terraform client",
  };
  for (const char* detail : kHolders) {
    const auto failure = classify_failure(
        {"plan", 1, 0}, summary_with("Error acquiring the state lock", detail), "");
    EXPECT_EQ(to_string(failure.kind), "locked") << detail;
  }
}

TEST(Faults, AVersionThatNobodyHasIsAMatterOfTheConfiguration) {
  const auto failure = classify_failure(
      {"init", 1, 0},
      summary_with(
          "Failed to query available provider packages",
          "Could not retrieve the list of available versions for provider hashicorp/aws: no "
          "available releases match the given constraints ~> 99.0"),
      "");
  EXPECT_EQ(to_string(failure.kind), "configuration");
}

TEST(Faults, TheHostOfAFailureIsThatOfItsFirstErrorThatNamesOne) {
  OutputSummary summary = summary_with("reading zone", "503 Service Unavailable");
  summary.errors.push_back(
      {.summary = "Get \"https://management.azure.com/x\": connection refused", .detail = ""});
  const Failure failure = classify_failure({"plan", 1, 0}, summary, "");
  EXPECT_TRUE(failure.is_retryable());
  EXPECT_EQ(failure.host, "management.azure.com");
}

}  // namespace
}  // namespace provisioner::tofu
